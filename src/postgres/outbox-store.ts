import type { EventId, SessionId } from '../genesis/ids.ts';
import type {
  AfterRefusal,
  Claim,
  ClaimedRow,
  ClaimRequest,
  FoundRecord,
  MarkedFound,
  OutboxStore,
  Refusal,
  Sent,
} from '../relay/ports.ts';
import { errorCode } from './errors.ts';
import { OutboxHorizon } from './outbox-horizon.ts';
import { toClaimedRow, type OutboxRecord } from './outbox-rows.ts';
import { sql } from './sql.ts';

const SESSION = sql('outbox/session');
const HORIZON = sql('outbox/horizon');
const CLAIM = sql('outbox/claim');
const CLAIM_HELD = sql('outbox/claim-held');
const MARK_SENT = sql('outbox/mark-sent');
const MARK_FREE = sql('outbox/mark-free');
const NOT_SETTLED = sql('outbox/not-settled');
const MARK_FOUND = sql('outbox/mark-found');
const FIND_KNOWN = sql('outbox/find-known');
const CHARGE = sql('outbox/charge');
const SETTLE_HOLDS = sql('outbox/settle-holds');
const NEXT_RETRY = sql('outbox/next-retry');

/** Most bytes of payload in one claim, ordinary and held rows each: what a relay holds in memory. */
const MAX_CLAIM_BYTES = 16 * 1024 * 1024;
/** lock_not_available: lock_timeout. */
const LOCK_TIMEOUT = '55P03';
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/iu;

/** Runs a statement on the member's connection. Fails with LeaseLost once that is gone. */
export type LeasedQuery = <Row>(text: string, values: readonly unknown[]) => Promise<readonly Row[]>;

export interface OutboxStoreOptions {
  /** Milliseconds between two looks at who may still write rows with low ids, at least. Default 25. */
  readonly horizonInterval?: number;
  /** A monotonic clock, in milliseconds. */
  readonly now?: () => number;
}

/** On connections that nobody else uses. What is asked of one runs in turn; the two may be one and the same. */
export interface OutboxQueries {
  readonly claims: LeasedQuery;
  /** Of rows whose records are in the topic: rows are marked while the next are claimed. */
  readonly marks: LeasedQuery;
}

/** The OutboxStore of one member of the group of relays. */
export function createOutboxStore(
  queries: OutboxQueries,
  member: { readonly id: number },
  options: OutboxStoreOptions = {},
): OutboxStore {
  const { horizonInterval = 25, now = () => performance.now() } = options;
  const query = queries.claims;
  const claims = new Claims(query, member.id, lookAtSequence(query, horizonInterval, now));
  const marks = new Marks(queries.marks);
  return {
    claim: (request) => claims.claim(request),
    markSent: (sent) => marks.markSent(sent),
    markFound: (records) => marks.markFound(records),
    findForeign: (records) => findForeign(query, records),
    charge: (refusal, next) => charge(query, member.id, refusal, next),
    async settleHolds(sessions) {
      if (sessions.length > 0) await claims.settle(sessions);
    },
    async nextRetryIn(shards, exceptSessions) {
      const [row] = await query<{ milliseconds: number | null }>(NEXT_RETRY, [member.id, shards, exceptSessions]);
      const milliseconds = row?.milliseconds ?? null;
      return milliseconds === null ? null : Math.max(0, Math.ceil(milliseconds));
    },
  };
}

function lookAtSequence(query: LeasedQuery, interval: number, now: () => number): OutboxHorizon {
  const look = async () => {
    const [row] = await query<{ last_id: string; writers: readonly string[] }>(HORIZON, []);
    if (row === undefined) throw new Error('a look at the sequence gives one row');
    return { lastId: Number(row.last_id), writers: row.writers };
  };
  return new OutboxHorizon(look, interval, now);
}

/** First which shards were claimed, and whether a session on hold in them may go on, if that was asked; then the rows. */
type ClaimRecord =
  | { readonly id: null; readonly shards: readonly number[]; readonly ready: boolean | null }
  | OutboxRecord;

/** `stuck`: nothing of the session can be sent, whatever its hold says; the other columns may be null. */
type HeldRecord =
  | (OutboxRecord & { readonly stuck: false })
  | { readonly id: number | null; readonly key: SessionId; readonly stuck: true };

/** To plan a claim anew takes longer than a small one runs, and there is one good way only. */
const CLAIM_PLANS = 'force_generic_plan';
/**
 * A plan for marks that was made while the table was empty, and kept, would read the whole table. To plan one takes little, and nobody
 * waits for it.
 */
const MARK_PLANS = 'force_custom_plan';

/** Settings of the whole session: once. */
function preparing(query: LeasedQuery, plans: typeof CLAIM_PLANS | typeof MARK_PLANS): () => Promise<void> {
  let prepared = false;
  return async () => {
    if (prepared) return;
    await query(SESSION, [plans]);
    prepared = true;
  };
}

class Claims {
  readonly #query: LeasedQuery;
  readonly #member: number;
  readonly #horizon: OutboxHorizon;
  readonly #prepare: () => Promise<void>;

  constructor(query: LeasedQuery, member: number, horizon: OutboxHorizon) {
    this.#query = query;
    this.#member = member;
    this.#horizon = horizon;
    this.#prepare = preparing(query, CLAIM_PLANS);
  }

  async claim(request: ClaimRequest): Promise<Claim> {
    await this.#prepare();
    // Before the claim: it sees whatever had ended by then.
    const horizon = await this.#horizon.now();
    const records = await this.#claimOrdinary(request);
    const [first] = records;
    if (first?.id !== null) throw new Error('a claim says first which shards it was for');
    const rows = ordinaryRows(records);
    const bytes = rows.reduce((sum, { payload }) => sum + Buffer.byteLength(payload ?? ''), 0);
    const complete = rows.length < request.limit && bytes < MAX_CLAIM_BYTES;
    const held = first.ready === true ? await this.#claimHeld(request, first.shards, new Set(rows.map(keyOf))) : [];
    return { shards: first.shards, rows: held.length === 0 ? rows : [...rows, ...held], complete, horizon };
  }

  async settle(keys: readonly SessionId[]): Promise<void> {
    await this.#query(SETTLE_HOLDS, [this.#member, keys]);
  }

  #claimOrdinary(request: ClaimRequest): Promise<readonly ClaimRecord[]> {
    const { shards, floor, limit, exceptIds, exceptSessions, alsoHeld } = request;
    const values = [this.#member, shards, floor, limit, MAX_CLAIM_BYTES, numbers(exceptIds), exceptSessions, alsoHeld];
    return this.#query<ClaimRecord>(CLAIM, values);
  }

  /** @param claimed Sessions that had ordinary rows just now: one that came to be on hold since must not be claimed twice. */
  async #claimHeld(
    { limit, exceptIds, exceptSessions }: ClaimRequest,
    shards: readonly number[],
    claimed: ReadonlySet<SessionId>,
  ) {
    const values = [shards, limit, MAX_CLAIM_BYTES, numbers(exceptIds), exceptSessions];
    const records = await this.#query<HeldRecord>(CLAIM_HELD, values);
    const stuck = records.filter((record) => record.stuck);
    // What the hold says is out of date: said anew, it is not looked at again each time.
    if (stuck.length > 0) await this.settle(stuck.map(({ key }) => key));
    const sendable = records.filter((record) => !record.stuck).map((record) => toClaimedRow(record, true));
    return sendable.filter(({ key }) => !claimed.has(key));
  }
}

interface FoundRow {
  readonly id: number;
  /** Of the record, from 1. */
  readonly place: number;
  readonly marked: boolean;
}

/** An array of numbers as PostgreSQL writes it: the driver would look at each for what needs quotes. */
function numbers(values: readonly (number | string)[]): string {
  return `{${values.join(',')}}`;
}

/** In order: that of the plan is not promised. */
function ordinaryRows(records: readonly ClaimRecord[]): readonly ClaimedRow[] {
  const rows: ClaimedRow[] = [];
  for (const record of records) if (record.id !== null) rows.push(toClaimedRow(record, false));
  const ascending = rows.every((row, at) => at === 0 || row.id > (rows[at - 1]?.id ?? Infinity));
  return ascending ? rows : rows.sort((one, other) => one.id - other.id);
}

const keyOf = ({ key }: { readonly key: SessionId }): SessionId => key;

class Marks {
  readonly #query: LeasedQuery;
  readonly #prepare: () => Promise<void>;
  /** Rows that somebody had locked when they were to be marked. */
  #locked: ReadonlySet<number> = new Set();

  constructor(query: LeasedQuery) {
    this.#query = query;
    this.#prepare = preparing(query, MARK_PLANS);
  }

  async markSent(sent: readonly Sent[]): Promise<readonly number[]> {
    if (sent.length === 0) return [];
    await this.#prepare();
    const ids = sent.map(({ id }) => id);
    const columns = [ids, sent.map(({ partition }) => partition), sent.map(({ offset }) => offset)].map(numbers);
    const marked = new Set((await this.#mark(ids, columns)).map(({ id }) => id));
    const rest = ids.filter((id) => !marked.has(id));
    const locked = rest.length === 0 ? [] : await this.#query<{ id: number }>(NOT_SETTLED, [rest]);
    this.#locked = new Set(locked.map(({ id }) => id));
    return [...this.#locked];
  }

  async markFound(records: readonly FoundRecord[]): Promise<MarkedFound> {
    const known = records.filter(({ key, eventId }) => UUID.test(key) && UUID.test(eventId));
    if (known.length === 0) return { marked: 0, locked: [] };
    await this.#prepare();
    const rows = await this.#query<FoundRow>(MARK_FOUND, [
      known.map(({ partition }) => partition),
      known.map(({ offset }) => offset),
      known.map(({ key }) => key),
      known.map(({ sequence }) => sequence),
      known.map(({ eventId }) => eventId),
      known.map(({ discarded }) => discarded),
    ]);
    const locked = rows.flatMap(({ id, place, marked }) => {
      const record = known[place - 1];
      return marked || record === undefined ? [] : [{ id, record }];
    });
    return { marked: rows.length - locked.length, locked };
  }

  async #mark(ids: readonly number[], columns: readonly unknown[]): Promise<readonly { readonly id: number }[]> {
    // Who waited for a lock once does not wait for it again.
    if (!ids.some((id) => this.#locked.has(id))) {
      try {
        return await this.#query<{ id: number }>(MARK_SENT, columns);
      } catch (error) {
        if (errorCode(error) !== LOCK_TIMEOUT) throw error;
      }
    }
    return this.#query<{ id: number }>(MARK_FREE, columns);
  }
}

async function findForeign(query: LeasedQuery, records: readonly FoundRecord[]): Promise<readonly FoundRecord[]> {
  const ids = records.map(({ eventId }) => eventId.toLowerCase()).filter((id) => UUID.test(id));
  const rows = ids.length === 0 ? [] : await query<{ event_id: EventId }>(FIND_KNOWN, [ids]);
  const known = new Set<string>(rows.map((row) => row.event_id));
  return records.filter(({ eventId }) => !known.has(eventId.toLowerCase()));
}

async function charge(
  query: LeasedQuery,
  member: number,
  { id, shard, error }: Refusal,
  next: AfterRefusal,
): ReturnType<OutboxStore['charge']> {
  const delay = next.kind === 'retry' ? next.delayMs : 0;
  try {
    type Row = { readonly ours: boolean; readonly charged: boolean; readonly waits: boolean };
    const [row] = await query<Row>(CHARGE, [id, shard, member, error, next.kind, delay]);
    if (row?.ours !== true) return 'lost';
    // A row that is settled meanwhile needs no charge.
    return row.charged || !row.waits ? 'charged' : 'locked';
  } catch (failure) {
    if (errorCode(failure) === LOCK_TIMEOUT) return 'locked';
    throw failure;
  }
}
