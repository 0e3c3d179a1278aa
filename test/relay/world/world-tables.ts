import type { EventId, SessionId } from '../../../src/genesis/ids.ts';
import type { Claim, ClaimedRow, ClaimRequest, FoundRecord, MarkedFound } from '../../../src/relay/ports.ts';

export interface WorldRow {
  readonly id: number;
  readonly session: string;
  readonly sequence: number;
  readonly shard: number;
  /** How often the broker still refuses it, and how often in all. */
  refusals: number;
  readonly refusedInAll: number;
  /** Its transaction has committed: before that nobody sees it. */
  visible: boolean;
  status: 'PENDING' | 'SENT' | 'FAILED' | 'DISCARDED';
  published: boolean;
  retryCount: number;
}

interface Hold {
  next: number;
  blockedBy: number | null;
  until: number;
}

const MAX_RETRIES = 3;
/** Seconds become milliseconds. */
const SPEED = 1_000;

/** event_outbox and event_outbox_holds in memory, by the rules of the real ones. */
export class WorldTables {
  readonly rows: WorldRow[] = [];
  readonly holds = new Map<string, Hold>();
  /** Rows that somebody has locked. */
  readonly locked = new Set<number>();
  readonly bySession = new Map<string, WorldRow[]>();

  /** A transaction takes the next id, holding the lock of the session. */
  insert(session: string, shard: number, refusals = 0): WorldRow {
    const own = this.bySession.get(session) ?? [];
    this.bySession.set(session, own);
    const id = this.rows.length + 1;
    const row: WorldRow = {
      id,
      session,
      sequence: own.length + 1,
      shard,
      refusals,
      refusedInAll: refusals,
      visible: false,
      status: 'PENDING',
      published: false,
      retryCount: 0,
    };
    this.rows.push(row);
    own.push(row);
    return row;
  }

  row(id: number): WorldRow {
    const row = this.rows[id - 1];
    if (row === undefined) throw new Error(`no row ${id}`);
    return row;
  }

  static unsettled(row: WorldRow): boolean {
    if (!row.visible) return false;
    return row.status === 'PENDING' || row.status === 'FAILED' || (row.status === 'DISCARDED' && !row.published);
  }

  /** An operator has seen to what the broker did not like. */
  retry(row: WorldRow): void {
    row.refusals = 0;
    row.status = 'PENDING';
    row.retryCount = 0;
    this.#changed(row, -Infinity);
  }

  discard(row: WorldRow): void {
    row.status = 'DISCARDED';
    this.#changed(row, -Infinity);
  }

  charge(row: WorldRow, next: { readonly kind: string; readonly delayMs?: number }): void {
    row.retryCount += next.kind === 'retry' ? 1 : 0;
    if (next.kind === 'fail') row.status = 'FAILED';
    if (next.kind === 'discard') row.status = 'DISCARDED';
    const until = next.kind === 'retry' ? performance.now() + (next.delayMs ?? 0) / SPEED : Infinity;
    this.#changed(row, next.kind === 'discard' ? -Infinity : until);
  }

  markSent(id: number): boolean {
    const row = this.row(id);
    if (row.status !== 'PENDING' && row.status !== 'DISCARDED') return true;
    if (this.locked.has(id)) return false;
    if (row.status === 'PENDING') row.status = 'SENT';
    row.published = true;
    return true;
  }

  markFound(records: readonly FoundRecord[]): MarkedFound {
    const locked: { id: number; record: FoundRecord }[] = [];
    let marked = 0;
    for (const record of records) {
      const row = this.bySession.get(record.key)?.find(({ sequence }) => sequence === record.sequence);
      const open = row !== undefined && row.visible && !row.published && ['PENDING', 'DISCARDED'].includes(row.status);
      if (!open) continue;
      if (this.markSent(row.id)) marked += 1;
      else locked.push({ id: row.id, record });
    }
    return { marked, locked };
  }

  claim({ shards, floor, limit, exceptIds, exceptSessions, alsoHeld }: ClaimRequest): Claim {
    const invisible = this.rows.find(({ visible }) => !visible);
    const excluded = new Set(exceptIds);
    const mine = (row: WorldRow) => {
      return shards.includes(row.shard) && !excluded.has(row.id) && !exceptSessions.includes(row.session as SessionId);
    };
    const ordinary = this.rows.filter((row) => {
      return row.visible && row.status === 'PENDING' && row.id >= floor && mine(row) && !this.holds.has(row.session);
    });
    const held = (alsoHeld ? [...this.holds] : []).flatMap(([session, hold]) =>
      this.#ready(session, hold).filter(mine),
    );
    return {
      shards,
      rows: [...ordinary.slice(0, limit).map(toClaimedRow), ...held.slice(0, limit).map(toHeldRow)],
      complete: ordinary.length < limit,
      horizon: invisible?.id ?? this.rows.length + 1,
    };
  }

  /** Rows of a session on hold that may be sent now. */
  #ready(session: string, hold: Hold): WorldRow[] {
    if (hold.until > performance.now()) return [];
    const open = this.#rowsOf(session).filter((row) => row.sequence >= hold.next && WorldTables.unsettled(row));
    const failed = open.findIndex(({ status }) => status === 'FAILED');
    if (failed === 0) this.holds.set(session, { ...hold, blockedBy: open[0]?.sequence ?? null, until: Infinity });
    if (open.length === 0) this.settle(session);
    return failed === -1 ? open : open.slice(0, failed);
  }

  #rowsOf(session: string): readonly WorldRow[] {
    return this.bySession.get(session) ?? [];
  }

  settle(session: string): void {
    const hold = this.holds.get(session);
    if (hold === undefined) return;
    const first = this.#rowsOf(session).find((row) => row.sequence >= hold.next && WorldTables.unsettled(row));
    if (first === undefined) this.holds.delete(session);
    else hold.next = first.sequence;
  }

  nextRetryIn(shards: readonly number[]): number | null {
    const ready = [...this.holds]
      .filter(
        ([session, { until }]) => until < Infinity && shards.includes(this.bySession.get(session)?.[0]?.shard ?? -1),
      )
      .map(([, { until }]) => Math.max(0, until - performance.now()));
    return ready.length === 0 ? null : Math.min(...ready);
  }

  /** What the trigger event_outbox_hold does. */
  #changed(row: WorldRow, until: number): void {
    const hold = this.holds.get(row.session);
    if (hold?.blockedBy !== undefined && hold.blockedBy !== null && hold.blockedBy < row.sequence) return;
    const first = this.#rowsOf(row.session).find((one) => WorldTables.unsettled(one)) ?? row;
    const next = hold === undefined ? first.sequence : Math.min(hold.next, row.sequence);
    const blocks = until > -Infinity && row.sequence <= next;
    this.holds.set(row.session, {
      next,
      blockedBy: blocks ? row.sequence : null,
      until: blocks ? until : -Infinity,
    });
  }
}

function toClaimedRow(row: WorldRow): ClaimedRow {
  const discarded = row.status === 'DISCARDED';
  return {
    id: row.id,
    eventId: eventIdOf(row.session, row.sequence),
    topic: 'events',
    key: row.session as SessionId,
    shard: row.shard,
    sequence: row.sequence,
    payload: discarded ? null : String(row.sequence),
    headers: { ce_id: eventIdOf(row.session, row.sequence), sequence: String(row.sequence) },
    retryCount: row.retryCount,
    maxRetries: MAX_RETRIES,
    createdAt: 0,
    held: false,
  };
}

function toHeldRow(row: WorldRow): ClaimedRow {
  return { ...toClaimedRow(row), held: true };
}

function eventIdOf(session: string, sequence: number): EventId {
  return `${session}/${sequence}` as EventId;
}
