import { backoffDelay } from '../backoff.ts';
import { assertOrder } from './assert-order.ts';
import type { DrainContext } from './drain-context.ts';
import type { OwnedShard } from './owned-shards.ts';
import { pause } from './pause.ts';
import { LeaseLost, type ClaimedRow, type RecordOutcome } from './ports.ts';
import type { Published } from './record-outcomes.ts';
import { largestOf, RowQueue, shardsOf } from './row-queue.ts';
import { SendLimit } from './send-limit.ts';
import { ShardKeeping } from './shard-keeping.ts';
import { sortOutcomes, type SortedOutcomes } from './sort-outcomes.ts';

/** Between looks whether rows that somebody else has locked are free, while nothing else is to do. */
const LOCKED_LOOK_MS = 1_000;
/** How often the database is asked when a session on hold may go on. A retry of our own is known without asking. */
const RETRY_LOOK_MS = 1_000;
/** Shortest wait when a session on hold could go on and gave nothing. */
const SHORTEST_WAIT_MS = 20;

/** After its rows are marked, a session on hold is looked at anew, and only then claimed from: that saves a claim that gives nothing. */
const ofHold = ({ row }: Published): boolean => row.held;

/**
 * Claims, sends and marks during one membership. While one send is on its way, what was acknowledged before is marked and, under a
 * backlog, the next rows are claimed: they are forgotten if the send fails. docs/relay.md draws it.
 */
export class Drain {
  readonly #context: DrainContext;
  readonly #keeping: ShardKeeping;
  readonly #queue = new RowQueue();
  readonly #sendLimit: SendLimit;
  #inFlight: readonly ClaimedRow[] = [];
  #limit: number;
  /** The last claim was cut by its bounds: there is more. */
  #more = false;
  #outages = 0;
  #retryAskedAt = -Infinity;
  #retryDueAt = Infinity;
  /** By the monotonic clock. */
  #claimedAt = -Infinity;

  constructor(context: DrainContext) {
    this.#context = context;
    this.#limit = context.options.batchSize;
    this.#keeping = new ShardKeeping(context);
    this.#sendLimit = new SendLimit(context.options);
  }

  /** @throws LeaseLost, or an AssertionError when a claim breaks the order: nothing more is sent then. */
  async run(stopping: AbortSignal): Promise<void> {
    const { keeper, recorder, membership } = this.#context;
    const signal = AbortSignal.any([stopping, keeper.lost]);
    this.#keeping.start(signal);
    try {
      await recorder.takeOver(membership.store, signal);
      while (!signal.aborted) await this.#step(signal);
    } finally {
      await this.#keeping.stop();
    }
    if (keeper.lost.aborted) throw new LeaseLost('the membership was lost', { cause: keeper.lost.reason });
    await this.#mark(signal);
    await this.#keeping.giveBackAll();
  }

  async #step(signal: AbortSignal): Promise<void> {
    const { keeper, options, recorder, membership, shards, work } = this.#context;
    await recorder.chargeKept(membership.store, signal);
    if (!(await this.#keeping.tend(signal))) {
      this.#queue.clear();
      await this.#rest(signal);
      return;
    }
    const active = new Set(shards.active().map(({ shard }) => shard));
    this.#queue.drop((shard) => !active.has(shard) || !keeper.holds(shard));
    if (this.#queue.rows.length === 0) {
      await this.#markBesideClaim(signal);
      await this.#claim(true);
    }
    const batch = this.#queue.take({
      partitionBytes: await this.#sendLimit.bytes(),
      rowsOf: (shard) => shards.get(shard)?.cap ?? Infinity,
      // The marker of an event that was refused is small: it is not.
      alone: ({ id, payload, retryCount, shard }) =>
        (retryCount > 0 && payload !== null) || shards.get(shard)?.suspect === id,
      apart: options.delivery === 'exactly-once',
    });
    if (batch.length === 0) {
      await this.#mark(signal);
      if (!work.hinted) await this.#rest(signal);
    } else {
      await this.#deliver(batch, signal);
    }
  }

  /**
   * With more to do, marks are written while the next send is on its way; else at once, and nobody waits for them: what comes meanwhile
   * is sent.
   */
  async #markBesideClaim(signal: AbortSignal): Promise<void> {
    const { recorder, work } = this.#context;
    if (this.#more || work.hinted) return;
    const marked = this.#mark(signal);
    if (recorder.unmarked.some(ofHold)) await marked;
    // Its rows are unmarked still: the next mark, which is waited for, fails as well.
    marked.catch(() => undefined);
  }

  /** @param alsoHeld Rows of sessions on hold, too. Without them it is a claim in between: rows of theirs wait already. */
  async #claim(alsoHeld: boolean): Promise<void> {
    const { options, recorder, shards, work } = this.#context;
    work.begin();
    this.#more = false;
    this.#claimedAt = performance.now();
    const parts = recorder.full ? [] : shards.nextClaims(alsoHeld);
    for (const part of parts) {
      const { cut, rows } = await this.#claimOf(part, alsoHeld);
      // Of the other part nothing is known.
      this.#more = cut || (parts.length > 1 && rows > 0);
      if (rows > 0) break;
    }
    // A claim that was cut says that there is a backlog: the next one is twice as large.
    const most = Math.max(options.batchMax, options.batchSize);
    this.#limit = this.#more ? Math.min(this.#limit * 2, most) : options.batchSize;
  }

  /** `cut`: there is more than was claimed. */
  async #claimOf(
    part: readonly OwnedShard[],
    alsoHeld: boolean,
  ): Promise<{ readonly cut: boolean; readonly rows: number }> {
    const { keeper, membership, options, recorder, shards } = this.#context;
    const wanted = part.filter(({ shard }) => keeper.holds(shard));
    if (wanted.length === 0) return { cut: false, rows: 0 };
    const began = performance.now();
    const known = this.#known();
    const claim = await membership.store.claim({
      shards: wanted.map(({ shard }) => shard),
      floor: Math.min(...wanted.map(({ floor }) => floor)),
      limit: this.#limit,
      exceptIds: known.map(({ id }) => id),
      exceptSessions: recorder.exceptSessions,
      alsoHeld,
    });
    options.onClaim?.({ rows: claim.rows.length, milliseconds: performance.now() - began });
    assertOrder(claim.rows, this.#unsent());
    this.#queue.add(claim.rows);
    shards.noteClaim(claim, this.#known());
    return { cut: !claim.complete || claim.rows.length >= this.#limit, rows: claim.rows.length };
  }

  /** Rows that are known and not settled. */
  #known(): ClaimedRow[] {
    const { uncharged, unmarked } = this.#context.recorder;
    return [...this.#unsent(), ...uncharged, ...unmarked.map(({ row }) => row)];
  }

  /** Rows that no broker has acknowledged: whatever goes before one of its session would be out of order. */
  #unsent(): ClaimedRow[] {
    return [...this.#inFlight, ...this.#queue.rows];
  }

  async #deliver(batch: readonly ClaimedRow[], signal: AbortSignal): Promise<void> {
    const { board, keeper, publisher } = this.#context;
    const involved = [...shardsOf(batch)];
    const stillOurs = (): boolean => involved.every((shard) => keeper.holds(shard));
    if (signal.aborted || !stillOurs()) {
      // The publishers were closed when the leases were lost: what begins now, nobody would end.
      this.#queue.clear();
      return;
    }
    board.draining();
    this.#inFlight = batch;
    this.#keeping.sending();
    const settlesHolds = this.#context.recorder.unmarked.some(ofHold);
    const marked = this.#mark(signal);
    const sending = publisher.send(batch, {
      onStalled: (error) => board.stalled(error),
      beforeCommit: async () => {
        await marked;
        if (!stillOurs()) throw new LeaseLost('the lease was lost before the commit');
      },
    });
    // A crash now costs no more than two batches: this one, and the one before it, which is marked before the next one is sent.
    const read = this.#prefetch(settlesHolds ? marked : Promise.resolve());
    const [sent, ...meanwhile] = await Promise.allSettled([sending, marked, read]);
    this.#inFlight = [];
    if (sent.status === 'rejected') throw sent.reason;
    await this.#settle(batch, sent.value, signal);
    for (const one of meanwhile) if (one.status === 'rejected') throw one.reason;
  }

  /**
   * Under a backlog, or when a hint came, the next rows are read while a send is on its way, and those of the last one are marked.
   * Rows of sessions on hold may go one by one for long: others go in between, each time that one of these was sent. A hint may have
   * been lost: then they are looked for as often as by a relay that rests.
   */
  async #prefetch(ready: Promise<void>): Promise<void> {
    await ready;
    const { options, recorder, work } = this.#context;
    // What is hinted at meanwhile is looked for when there is room.
    if (recorder.full) return;
    const expected = this.#more || work.hinted;
    if (this.#queue.rows.length === 0) {
      if (expected) await this.#claim(true);
    } else if (this.#queue.onlyHeld && this.#inFlight.some(({ held }) => held)) {
      if (expected || performance.now() - this.#claimedAt >= options.pollInterval) await this.#claim(false);
    }
  }

  async #mark(signal: AbortSignal): Promise<void> {
    const { membership, recorder, shards } = this.#context;
    shards.marked(await recorder.mark(membership.store, signal), Date.now());
  }

  async #settle(batch: readonly ClaimedRow[], outcomes: readonly RecordOutcome[], signal: AbortSignal): Promise<void> {
    const { board, options, recorder, shards } = this.#context;
    const sorted = sortOutcomes(batch, outcomes);
    recorder.acknowledged(sorted.published);
    if (sorted.published.length === batch.length) {
      this.#outages = 0;
      shards.sent(shardsOf(batch), options.batchMax);
      board.answered();
      return;
    }
    // What was read beyond it would overtake what failed.
    this.#queue.clear();
    this.#more = true;
    await this.#mark(signal);
    if (signal.aborted) return;
    if (sorted.fenced !== null) throw new LeaseLost('fenced by another relay', { cause: new Error(sorted.fenced) });
    this.#keeping.sendFailed();
    await this.#chargeRefused(sorted, signal);
    await this.#takeOutage(sorted, signal);
  }

  /**
   * A partition's batch that was refused is sent again in halves, the largest row by itself, until the refused row is alone: only then it
   * is known to be the one.
   */
  async #chargeRefused({ refused }: SortedOutcomes, signal: AbortSignal): Promise<void> {
    const { membership, recorder, shards } = this.#context;
    for (const [shard, { rows, error }] of refused) {
      if (rows.length > 1) this.#sendLimit.doubt();
      const owned = shards.get(shard);
      if (owned !== undefined) {
        owned.cap = rows.length > 1 ? Math.ceil(rows.length / 2) : null;
        owned.suspect = rows.length > 1 ? (largestOf(rows)?.id ?? null) : null;
      }
      const [alone] = rows;
      if (rows.length > 1 || alone === undefined) continue;
      await recorder.refused(alone, error, membership.store, signal);
      this.#retryAskedAt = -Infinity;
    }
  }

  async #takeOutage({ published, refused, unavailable, outage }: SortedOutcomes, signal: AbortSignal): Promise<void> {
    const { board, options, shards } = this.#context;
    if (outage === null) {
      board.answered();
      return;
    }
    if (outage.scope === 'partition' || published.length > 0 || refused.size > 0) {
      for (const [shard, error] of unavailable) {
        shards.unavailable(shard, error, performance.now());
        board.partitionUnavailable(shard, error);
      }
      return;
    }
    this.#outages += 1;
    board.stalled(outage.error);
    await pause(backoffDelay(this.#outages, options.backoff), signal);
  }

  /** Nothing can be sent: waits for a hint, or for what is due next. */
  async #rest(signal: AbortSignal): Promise<void> {
    const { board, options, recorder, shards, work } = this.#context;
    this.#limit = options.batchSize;
    board.resting(shards.size);
    const now = performance.now();
    const looks = [
      options.pollInterval,
      await this.#untilRetry(),
      shards.nextTryIn(now) ?? Infinity,
      recorder.waitsForLocks ? LOCKED_LOOK_MS : Infinity,
    ];
    await work.wait(Math.max(SHORTEST_WAIT_MS, Math.min(...looks)), signal);
  }

  async #untilRetry(): Promise<number> {
    const { membership, recorder, shards } = this.#context;
    const now = performance.now();
    const active = shards.active().map(({ shard }) => shard);
    if (active.length === 0) return Infinity;
    if (now - this.#retryAskedAt >= RETRY_LOOK_MS) {
      // Those whose rows somebody has locked go on when these are free.
      const waiting = [...recorder.exceptSessions, ...recorder.unmarked.map(({ row }) => row.key)];
      const milliseconds = await membership.store.nextRetryIn(active, waiting);
      this.#retryAskedAt = now;
      this.#retryDueAt = milliseconds === null ? Infinity : now + milliseconds;
    }
    return Math.max(0, this.#retryDueAt - now);
  }
}
