import { backoffDelay, type BackoffBounds } from '../backoff.ts';
import type { AcquiredShard, Claim, ClaimedRow, ShardReport, ShardState } from './ports.ts';
import type { Published } from './record-outcomes.ts';

/** A shard that this relay holds. */
export interface OwnedShard {
  readonly shard: number;
  readonly epoch: number;
  /** To be fenced before anything is read back. */
  predecessors: readonly string[];
  state: Exclude<ShardState, 'free' | 'paused' | 'leaving'>;
  /** By an operator. */
  paused: boolean;
  /** To be given back once nothing of it is on its way. */
  leaving: boolean;
  /** No ordinary row below this id is still to be sent. */
  floor: number;
  /** Everything in the partition below this offset is marked. */
  position: bigint;
  /** When to try again what failed, by the monotonic clock. */
  retryAt: number;
  failures: number;
  /** Something is being done about it: it is read back or probed. */
  busy: boolean;
  /** The end of its partition was compared with the database, or could not be. */
  compared: boolean;
  /** Counts what made everything read back so far worthless. */
  round: number;
  /** Most rows in one send while a refused one is looked for; null: no bound. */
  cap: number | null;
  /** Id of the row that is likeliest to be the refused one. */
  suspect: number | null;
  lastProgressAt: number | null;
  lastError: string | null;
}

/** Shards this far behind the others, in ids, are claimed apart from them, by turns: neither keeps the others waiting. */
const FAR_BEHIND = 50_000;

/** What this relay knows of the shards that it holds: state, floor, position. */
export class OwnedShards {
  readonly #shards = new Map<number, OwnedShard>();
  readonly #backoff: BackoffBounds;
  /** Whether those far behind come first: the next time, and the next time in between. */
  readonly #behindFirst = { all: false, between: false };

  constructor(backoff: BackoffBounds) {
    this.#backoff = backoff;
  }

  get size(): number {
    return this.#shards.size;
  }

  all(): OwnedShard[] {
    return [...this.#shards.values()];
  }

  get(shard: number): OwnedShard | undefined {
    return this.#shards.get(shard);
  }

  add({ shard, epoch, floor, position, predecessors }: AcquiredShard): void {
    this.#shards.set(shard, {
      shard,
      epoch,
      predecessors,
      state: 'recovering',
      paused: false,
      leaving: false,
      floor,
      position: BigInt(position),
      retryAt: 0,
      failures: 0,
      busy: false,
      compared: false,
      round: 0,
      cap: null,
      suspect: null,
      lastProgressAt: null,
      lastError: null,
    });
  }

  remove(shard: number): void {
    this.#shards.delete(shard);
  }

  /** Every shard is read back before anything more is claimed: what the topic holds is unknown. */
  recoverAll(): void {
    for (const owned of this.#shards.values()) {
      owned.round += 1;
      if (owned.state === 'active') owned.state = 'recovering';
    }
  }

  /** While the topic is ahead of the database, nothing at all is published. */
  get topicAhead(): boolean {
    return this.all().some(({ state }) => state === 'topic-ahead');
  }

  /** Those that may be claimed now: none before it is known of all that the topic is not ahead. */
  active(): OwnedShard[] {
    if (this.topicAhead || this.all().some(({ busy, compared }) => busy && !compared)) return [];
    return this.all().filter(({ state, paused, leaving }) => state === 'active' && !paused && !leaving);
  }

  /**
   * The shards of the next claim, and those to be asked if these give nothing. Some may be far behind the others, because their
   * partition was away: one claim for all would begin at their floor and give the others nothing for long.
   * @param alsoHeld False for a claim in between, which takes nobody else's turn.
   */
  nextClaims(alsoHeld: boolean): OwnedShard[][] {
    const active = this.active();
    const newest = Math.max(...active.map(({ floor }) => floor));
    const behind = active.filter(({ floor }) => floor < newest - FAR_BEHIND);
    if (behind.length === 0) return [active];
    const kind = alsoHeld ? 'all' : 'between';
    this.#behindFirst[kind] = !this.#behindFirst[kind];
    const others = active.filter((owned) => !behind.includes(owned));
    return this.#behindFirst[kind] ? [behind, others] : [others, behind];
  }

  /**
   * Moves the floors up to where a claim has shown that nothing is left.
   * @param unsettled All rows that are known and not settled: claimed now, in flight, or acknowledged and not marked.
   */
  noteClaim(claim: Claim, unsettled: Iterable<ClaimedRow>): void {
    const seen = seenBelow(claim);
    if (seen === null) return;
    const lowest = lowestIds(unsettled);
    for (const shard of claim.shards) {
      const owned = this.#shards.get(shard);
      if (owned !== undefined) owned.floor = Math.max(owned.floor, Math.min(seen, lowest.get(shard) ?? Infinity));
    }
  }

  /** A partition cannot be written: it leaves the claims and is tried again after a while. */
  unavailable(shard: number, error: string, now: number): void {
    const owned = this.#shards.get(shard);
    if (owned === undefined) return;
    owned.state = 'unavailable';
    this.failed(owned, error, now);
  }

  /** Something that was tried with the shard failed; the next try comes after a growing delay. */
  failed(owned: OwnedShard, error: string, now: number): void {
    owned.failures += 1;
    owned.lastError = error;
    owned.retryAt = now + backoffDelay(owned.failures, this.#backoff);
  }

  /** It may be claimed. Its failures count until something of it was sent. */
  activate(owned: OwnedShard): void {
    owned.state = 'active';
  }

  /** Rows of these shards were acknowledged. */
  sent(shards: ReadonlySet<number>, batchMax: number): void {
    for (const shard of shards) {
      const owned = this.#shards.get(shard);
      if (owned === undefined) continue;
      owned.failures = 0;
      owned.lastError = null;
      // The refused row that was looked for is not among them: the next send may be larger.
      if (owned.cap !== null) owned.cap = owned.cap * 2 > batchMax ? null : owned.cap * 2;
    }
  }

  /** Rows were marked SENT. */
  marked(published: readonly Published[], now: number): void {
    for (const [shard, offset] of highestOffsets(published)) {
      const owned = this.#shards.get(shard);
      if (owned === undefined) continue;
      const next = BigInt(offset) + 1n;
      if (next > owned.position) owned.position = next;
      owned.lastProgressAt = now;
    }
  }

  /** Milliseconds until something is to be tried again; null: nothing. */
  nextTryIn(now: number): number | null {
    const times = this.all()
      .filter(({ state, busy }) => state !== 'active' && !busy)
      .map(({ retryAt }) => Math.max(0, retryAt - now));
    return times.length === 0 ? null : Math.min(...times);
  }

  reports(): ShardReport[] {
    return this.all().map(reportOf);
  }
}

/** Per shard. Offsets are 64 bits wide: the longer text is the larger number. */
function highestOffsets(published: readonly Published[]): ReadonlyMap<number, string> {
  const highest = new Map<number, string>();
  for (const { row, sent } of published) {
    const known = highest.get(row.shard) ?? '';
    const { offset } = sent;
    if (offset.length > known.length || (offset.length === known.length && offset > known))
      highest.set(row.shard, offset);
  }
  return highest;
}

export function reportOf(owned: OwnedShard): ShardReport {
  const { shard, floor, position, lastProgressAt, lastError } = owned;
  return { shard, floor, position: String(position), state: shownState(owned), lastProgressAt, lastError };
}

function shownState({ state, paused, leaving }: OwnedShard): ShardState {
  if (leaving) return 'leaving';
  return paused && state === 'active' ? 'paused' : state;
}

/** Below which id the claim has given all that is to be sent; null: it gave nothing of the ordinary way and was cut all the same. */
function seenBelow({ complete, horizon, rows }: Claim): number | null {
  if (complete) return horizon;
  const last = rows.findLast(({ held }) => !held);
  return last === undefined ? null : Math.min(horizon, last.id + 1);
}

function lowestIds(rows: Iterable<ClaimedRow>): ReadonlyMap<number, number> {
  const lowest = new Map<number, number>();
  for (const { shard, id, held } of rows) {
    if (!held && id < (lowest.get(shard) ?? Infinity)) lowest.set(shard, id);
  }
  return lowest;
}
