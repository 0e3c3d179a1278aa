import { backoffDelay } from '../backoff.ts';
import type { DrainContext } from './drain-context.ts';
import { reportOf, type OwnedShard } from './owned-shards.ts';
import { pause } from './pause.ts';
import { LeaseLost, type ShardReport } from './ports.ts';
import { recoverShard } from './recover-shard.ts';

/**
 * What goes on beside the drain: beats, taking and giving back shards, reading their partitions back, probing those that are away.
 * A shard's state machine is drawn in docs/relay.md.
 */
export class ShardKeeping {
  readonly #context: DrainContext;
  readonly #background = new Set<Promise<void>>();
  readonly #ending = new AbortController();
  #beats: Promise<void> = Promise.resolve();
  #beating: Promise<unknown> = Promise.resolve();
  /** The beat that follows the one under way, for all who ask meanwhile. */
  #nextBeat: Promise<void> | null = null;
  #openFailures = 0;
  /** Exactly once: our transactional id is open, and every predecessor of it is fenced. */
  #opened = false;
  /** Likewise: something was sent since. */
  #sent = false;

  constructor(context: DrainContext) {
    this.#context = context;
  }

  start(signal: AbortSignal): void {
    this.#beats = this.#beat(AbortSignal.any([signal, this.#ending.signal]));
  }

  /** Ends the beats and whatever is under way. */
  async stop(): Promise<void> {
    const { probe, keeper, transactions } = this.#context;
    this.#ending.abort();
    if (this.#background.size > 0)
      await Promise.all([probe.close(), keeper.lost.aborted ? transactions.close() : null]);
    await Promise.all([this.#beats, ...this.#background]);
  }

  /** Something is about to be sent. */
  sending(): void {
    this.#sent = this.#context.options.delivery === 'exactly-once';
  }

  /** A send failed: exactly once, unless all that it did is known, what the topic holds is read before anything else is sent. */
  sendFailed(): void {
    const { options, transactions } = this.#context;
    if (options.delivery === 'exactly-once' && !transactions.isOpen) this.#opened = false;
  }

  /**
   * Begins what is to be done about shards. False while nothing may be sent.
   * @throws LeaseLost
   */
  async tend(signal: AbortSignal): Promise<boolean> {
    const { shards, options } = this.#context;
    const leaving = () => shards.all().filter((owned) => owned.leaving && !owned.busy);
    if (options.delivery === 'exactly-once' && shards.size > 0 && !(await this.#open(leaving().length > 0, signal)))
      return false;
    await this.#giveBack(leaving(), false);
    const now = performance.now();
    for (const owned of shards.all()) {
      if (this.#isDue(owned, now)) this.#mend(owned, AbortSignal.any([signal, this.#ending.signal]));
    }
    return true;
  }

  #isDue({ busy, leaving, retryAt, shard, state }: OwnedShard, now: number): boolean {
    return !busy && !leaving && state !== 'active' && retryAt <= now && this.#context.keeper.holds(shard);
  }

  /** In an orderly way: nothing is on its way any more. The broker is not waited for: exactly once, the next owners fence us. */
  async giveBackAll(): Promise<void> {
    await this.#giveBack(this.#context.shards.all(), this.#sent);
  }

  /** Reports never promise more than is marked. */
  #reports(owned: readonly OwnedShard[]): ShardReport[] {
    const lowest = new Map<number, bigint>();
    for (const { row, sent } of this.#context.recorder.unmarked) {
      const offset = BigInt(sent.offset);
      if (offset < (lowest.get(row.shard) ?? offset + 1n)) lowest.set(row.shard, offset);
    }
    return owned.map((one) => {
      const unmarked = lowest.get(one.shard) ?? one.position;
      const report = reportOf(one);
      return unmarked < one.position ? { ...report, position: String(unmarked) } : report;
    });
  }

  async #giveBack(owned: readonly OwnedShard[], inDoubt: boolean): Promise<void> {
    if (owned.length === 0) return;
    const { board, keeper, logger, shards } = this.#context;
    await keeper.release(this.#reports(owned), inDoubt);
    for (const { shard } of owned) {
      shards.remove(shard);
    }
    board.holds(this.#reports(shards.all()));
    logger.info({ shards: owned.map(({ shard }) => shard) }, 'gave shards back');
  }

  async #beat(signal: AbortSignal): Promise<void> {
    const { board, options } = this.#context;
    while (!signal.aborted) {
      try {
        await this.#beatOnce();
        board.databaseAnswered();
      } catch (error) {
        // A lost membership ends the drain by its signal; a beat that the database did not take is followed by the next.
        if (!(error instanceof LeaseLost)) board.databaseAway(String(error));
      }
      await pause(options.beatInterval, signal);
    }
  }

  /** One at a time: resolves after a beat that began after the call. Those who wait for one that has not begun share it. */
  async #beatOnce(): Promise<void> {
    if (this.#nextBeat === null) {
      const beat = this.#beating.then(() => {
        this.#nextBeat = null;
        return this.#applyBeat();
      });
      this.#nextBeat = beat;
      this.#beating = beat.catch(() => undefined);
    }
    return this.#nextBeat;
  }

  async #applyBeat(): Promise<void> {
    const { board, keeper, logger, shards, work } = this.#context;
    const { acquired, leave, paused } = await keeper.beat(this.#reports(shards.all()));
    for (const shard of acquired) shards.add(shard);
    let changed = acquired.length > 0;
    for (const owned of shards.all()) {
      const was = reportOf(owned).state;
      owned.leaving ||= leave.includes(owned.shard);
      owned.paused = paused.includes(owned.shard);
      changed ||= reportOf(owned).state !== was;
    }
    board.holds(this.#reports(shards.all()));
    if (acquired.length > 0) logger.info({ shards: acquired.map(({ shard }) => shard) }, 'took shards');
    if (changed) work.wake();
  }

  /**
   * Exactly once: begin (which fences), make sure of the leases, forget everything, then read back. False: to be tried again.
   *
   * A commit is answered before readers see it, and one whose answer was lost may still come. Who opens the id anew waits for the end of
   * either: so it is done before shards are given away, for the next owner to find all of it.
   */
  async #open(leaving: boolean, signal: AbortSignal): Promise<boolean> {
    if (leaving && this.#sent) this.#opened = false;
    if (this.#opened) return true;
    const { board, membership, options, shards, transactions } = this.#context;
    try {
      await transactions.open(membership.transactionalId, signal);
      await this.#beatOnce();
    } catch (error) {
      if (error instanceof LeaseLost || signal.aborted) throw error;
      board.stalled(error instanceof Error ? error.message : String(error));
      this.#openFailures += 1;
      await pause(backoffDelay(this.#openFailures, options.backoff), signal);
      return false;
    }
    if (this.#openFailures > 0) board.answered();
    this.#openFailures = 0;
    shards.recoverAll();
    this.#opened = true;
    this.#sent = false;
    return true;
  }

  /** Runs beside the drain; the shard is `busy` meanwhile. */
  #mend(owned: OwnedShard, signal: AbortSignal): void {
    const { options, work } = this.#context;
    if (owned.state === 'unavailable' && options.delivery === 'exactly-once') {
      // A probe would be a transaction like any other: the shard joins the next one. If that fails, it leaves for longer.
      owned.state = 'recovering';
    }
    owned.busy = true;
    const task = owned.state === 'unavailable' ? this.#probe(owned, signal) : this.#recover(owned, signal);
    const done = task
      .catch((error: unknown) => {
        if (!signal.aborted) this.#tellFailure(owned, error);
      })
      .finally(() => {
        owned.busy = false;
        owned.compared = true;
        this.#background.delete(done);
        work.wake();
      });
    this.#background.add(done);
  }

  #tellFailure(owned: OwnedShard, error: unknown): void {
    const { board, shards } = this.#context;
    const reason = error instanceof Error ? error.message : String(error);
    shards.failed(owned, reason, performance.now());
    board.partitionUnavailable(owned.shard, reason);
  }

  async #recover(owned: OwnedShard, signal: AbortSignal): Promise<void> {
    const { board, keeper, logger, membership, shards } = this.#context;
    const confirm = async () => {
      await this.#beatOnce();
      if (!keeper.holds(owned.shard)) throw new LeaseLost(`shard ${owned.shard} is no longer ours`);
    };
    const { round } = owned;
    const result = await recoverShard(owned, this.#context, confirm, signal);
    if (result.kind === 'topic-ahead') {
      const { offset, eventId, key } = result.record;
      const error = `partition ${owned.shard} holds event ${eventId} at offset ${offset}, and the database does not: it is older than the topic. Nothing is published; run: genesis recover --from-topic`;
      const place = { shard: owned.shard, offset, session_id: key, event_id: eventId };
      if (owned.state !== 'topic-ahead') logger.error(place, error);
      owned.state = 'topic-ahead';
      shards.failed(owned, error, performance.now());
      board.broken(error);
      await membership.reportTopicAhead(owned.shard, offset, eventId);
      return;
    }
    if (result.found > 0) {
      board.found(result.found);
      logger.info({ shard: owned.shard, found: result.found }, 'marked events that the topic already holds');
    }
    // Meanwhile a send failed: the partition may hold more than was read.
    if (owned.round !== round) return;
    shards.activate(owned);
    owned.lastError = null;
    board.partitionAvailable(owned.shard);
  }

  /** Sends the first row of a partition that was away. It stays pending for as long as the partition does. */
  async #probe(owned: OwnedShard, signal: AbortSignal): Promise<void> {
    const { board, keeper, membership, probe, recorder, shards } = this.#context;
    const { shard, floor } = owned;
    const exceptIds = recorder.unmarked.map(({ row }) => row.id);
    const { exceptSessions } = recorder;
    const claim = await membership.store.claim({
      shards: [shard],
      floor,
      limit: 1,
      exceptIds,
      exceptSessions,
      alsoHeld: true,
    });
    const row = claim.rows[0];
    // After that nobody would end it.
    if (signal.aborted) return;
    if (row !== undefined && keeper.holds(shard)) {
      const [outcome] = await probe.send([row]);
      if (outcome?.kind === 'unavailable') throw new Error(outcome.error);
      if (outcome?.kind === 'acknowledged') {
        const { partition, offset } = outcome;
        recorder.acknowledged([{ row, sent: { id: row.id, partition, offset } }]);
        shards.marked(await recorder.mark(membership.store, signal), Date.now());
        shards.sent(new Set([shard]), 0);
      }
    }
    shards.activate(owned);
    board.partitionAvailable(shard);
  }
}
