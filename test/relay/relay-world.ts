import type { EventId, SessionId } from '../../src/genesis/ids.ts';
import {
  LeaseLost,
  type ClaimedRow,
  type HeldLease,
  type Lease,
  type OutboxStore,
  type OutgoingRecord,
  type Publisher,
  type RecordOutcome,
} from '../../src/relay/ports.ts';

/** What goes wrong at one step, drawn by a test. */
export type Mishap =
  | 'none'
  | 'outage'
  | 'answer lost'
  | 'partition away'
  | 'lease lost'
  | 'mark refused'
  | 'row locked';

export interface FakeRow {
  readonly id: number;
  readonly session: string;
  readonly sequence: number;
  readonly shard: number;
  /** How often the broker refuses the row. */
  refusals: number;
  status: 'PENDING' | 'SENT' | 'FAILED' | 'DISCARDED';
  retryCount: number;
  /** By performance.now(). */
  scheduledAt: number;
}

export interface Written {
  readonly session: string;
  readonly sequence: number;
}

const MAX_RETRIES = 3;
/** How often a row that somebody has locked is found so before it is free. */
const LOCKED_FOR = 3;
/** Seconds become milliseconds. */
const SPEED = 1_000;

/** An outbox, a lease and a broker in memory, whose misfortunes a test chooses. Keeps the rules of the real ones. */
export class RelayWorld {
  readonly rows: FakeRow[] = [];
  readonly log: Written[] = [];
  readonly delays: number[] = [];
  mishaps: Mishap[] = [];
  #holder: { readonly lost: AbortController } | null = null;
  readonly #waiting: (() => void)[] = [];
  /** Row to how often it is still to be found locked. */
  readonly #locked = new Map<number, number>();

  add(session: string, sequence: number, shard: number, refusals = 0): FakeRow {
    const id = this.rows.length + 1;
    const row = { id, session, sequence, shard, refusals, status: 'PENDING' as const, retryCount: 0, scheduledAt: 0 };
    this.rows.push(row);
    return this.rows[id - 1] ?? row;
  }

  /** Nothing is left that a relay could send. */
  get settled(): boolean {
    return this.rows.every((row) => row.status !== 'PENDING' || this.#heldByFailed(row));
  }

  get duplicates(): number {
    return this.log.length - new Set(this.log.map(({ session, sequence }) => `${session}/${sequence}`)).size;
  }

  /** Versions of one session as a consumer first sees them. */
  firstOccurrences(session: string): number[] {
    return [...new Set(this.log.filter((one) => one.session === session).map(({ sequence }) => sequence))];
  }

  loseLease(): void {
    this.#holder?.lost.abort(new Error('cut'));
    this.#holder = null;
    for (const wake of this.#waiting.splice(0)) wake();
  }

  readonly lease: Lease = {
    acquire: async (signal) => {
      while (this.#holder !== null) {
        await new Promise<void>((resolve) => {
          this.#waiting.push(resolve);
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
        signal.throwIfAborted();
      }
      return this.#hold();
    },
  };

  publisher(): Publisher {
    return { send: async (records) => this.#send(records), close: async () => {} };
  }

  #hold(): HeldLease {
    const holder = { lost: new AbortController() };
    this.#holder = holder;
    return {
      lost: holder.lost.signal,
      store: this.#store(holder.lost.signal),
      release: async () => {
        if (this.#holder === holder) this.#holder = null;
        for (const wake of this.#waiting.splice(0)) wake();
      },
    };
  }

  #store(lost: AbortSignal): OutboxStore {
    const turn = async () => {
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      if (lost.aborted) throw new LeaseLost('lost');
    };
    return {
      claim: async (limit, except = []) => {
        await turn();
        // One time for all rows, as in a statement: else a row could become due between two looks at its session.
        const now = performance.now();
        return this.rows
          .filter((row) => this.#claimable(row, now) && !except.includes(row.session as SessionId))
          .slice(0, limit)
          .map(toClaimedRow);
      },
      markSent: async (sent) => {
        if (this.mishaps[0] === 'mark refused') {
          this.mishaps.shift();
          throw new Error('statement timeout');
        }
        await turn();
        return sent.map(({ id }) => id).filter((id) => !this.#change(id, (row) => (row.status = 'SENT')));
      },
      scheduleRetry: async ({ id }, delayMs) => {
        await turn();
        return this.#change(id, (row) => {
          this.delays.push(delayMs);
          row.retryCount += 1;
          row.scheduledAt = performance.now() + delayMs / SPEED;
        });
      },
      markFailed: async ({ id }) => {
        await turn();
        return this.#change(id, (row) => (row.status = 'FAILED'));
      },
      nextRetryIn: async (except = []) => {
        await turn();
        const others = this.rows.filter((row) => !except.includes(row.session as SessionId));
        const times = others.filter(
          (row) => row.status === 'PENDING' && row.retryCount > 0 && !this.#heldByFailed(row),
        );
        if (times.length === 0) return null;
        return Math.max(0, Math.ceil(Math.min(...times.map((row) => row.scheduledAt)) - performance.now()));
      },
    };
  }

  /** False if somebody has the row locked. */
  #change(id: number, change: (row: FakeRow) => void): boolean {
    const row = this.rows[id - 1];
    if (row?.status !== 'PENDING') return true;
    const locked = this.#locked.get(id) ?? 0;
    this.#locked.set(id, Math.max(0, locked - 1));
    if (locked === 0) change(row);
    return locked === 0;
  }

  #earlier(row: FakeRow): FakeRow[] {
    return this.rows.filter((other) => other.session === row.session && other.id < row.id);
  }

  #heldByFailed(row: FakeRow): boolean {
    return this.#earlier(row).some(({ status }) => status === 'FAILED');
  }

  #waits(row: FakeRow, now: number): boolean {
    return row.status === 'PENDING' && row.retryCount > 0 && row.scheduledAt > now;
  }

  #claimable(row: FakeRow, now: number): boolean {
    if (row.status !== 'PENDING' || this.#waits(row, now) || this.#heldByFailed(row)) return false;
    return !this.#earlier(row).some((other) => this.#waits(other, now));
  }

  async #send(records: readonly OutgoingRecord[]): Promise<readonly RecordOutcome[]> {
    const mishap = this.mishaps[0] === 'mark refused' ? 'none' : (this.mishaps.shift() ?? 'none');
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    if (mishap === 'lease lost') this.loseLease();
    if (mishap === 'row locked') this.#lock(records[0]);
    if (mishap === 'outage') return records.map(() => away());
    const refused = this.#refusedShards(records);
    const missing = mishap === 'partition away' ? records[0]?.shard : undefined;
    return records.map((record): RecordOutcome => {
      if (record.shard === missing) return away();
      if (refused.has(record.shard)) return { kind: 'refused', error: 'MESSAGE_TOO_LARGE' };
      this.log.push(recordOf(record));
      if (mishap === 'answer lost') return away();
      return { kind: 'acknowledged', partition: record.shard, offset: String(this.log.length) };
    });
  }

  #rowOf(record: OutgoingRecord): FakeRow | undefined {
    return this.rows.find((one) => one.session === record.key && String(one.sequence) === record.payload);
  }

  /** Somebody locks these rows, and no others any more, until he is called again. */
  lock(ids: readonly number[]): void {
    this.#locked.clear();
    for (const id of ids) this.#locked.set(id, Infinity);
  }

  #lock(record: OutgoingRecord | undefined): void {
    const row = record === undefined ? undefined : this.#rowOf(record);
    if (row !== undefined) this.#locked.set(row.id, LOCKED_FOR);
  }

  /** A refused record takes its whole partition's batch with it; its refusals count once it is alone. */
  #refusedShards(records: readonly OutgoingRecord[]): Set<number> {
    const refused = new Set<number>();
    for (const record of records) {
      const row = this.#rowOf(record);
      if (row === undefined || row.refusals === 0) continue;
      refused.add(record.shard);
      if (records.filter(({ shard }) => shard === record.shard).length === 1) row.refusals -= 1;
    }
    return refused;
  }
}

function away(): RecordOutcome {
  return { kind: 'unavailable', scope: 'cluster', error: 'away' };
}

function recordOf({ key, payload }: OutgoingRecord): Written {
  return { session: key, sequence: Number(payload) };
}

function toClaimedRow(row: FakeRow): ClaimedRow {
  return {
    id: row.id,
    eventId: `event-${row.id}` as EventId,
    topic: 'events',
    key: row.session as SessionId,
    shard: row.shard,
    sequence: row.sequence,
    payload: String(row.sequence),
    headers: {},
    retryCount: row.retryCount,
    maxRetries: MAX_RETRIES,
    createdAt: 0,
  };
}
