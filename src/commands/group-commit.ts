import type { Logger } from 'pino';
import { GenesisError } from '../errors.ts';
import type { SessionId } from '../genesis/ids.ts';
import type { Service } from '../service.ts';
import type { BatchOutcome, BatchSettings } from './batch-work.ts';
import {
  tooManyWaiting,
  TransactionConflict,
  type CommandOutcome,
  type CommandRequest,
  type CommandService,
  type CommandStore,
} from './ports.ts';
import { processBatch } from './process-batch.ts';

export interface GroupCommitSettings extends BatchSettings {
  /** Most commands in one transaction. */
  readonly batchMax: number;
  /** Most transactions at a time. */
  readonly transactionsMax: number;
  /** Most commands that wait for a transaction; one more is refused with OVERLOADED. */
  readonly queueMax: number;
  /** Milliseconds a command may wait for a transaction, then it is refused with OVERLOADED. */
  readonly queueTimeout: number;
  /** Milliseconds that a transaction may take. */
  readonly transactionTimeout: number;
  /** Told of each batch how many milliseconds its commands have waited. For measurements; must not throw. */
  readonly onBatch?: ((waited: readonly number[]) => void) | undefined;
}

interface Waiting {
  readonly request: CommandRequest;
  /** When its time in the queue is over, by the monotonic clock. */
  readonly expiresAt: number;
  readonly resolve: (outcome: CommandOutcome) => void;
  readonly reject: (error: unknown) => void;
}

/** Milliseconds that a command waits at the most for a second transaction to be worth its while. */
const COMPANY_WAIT = 2;

/** Milliseconds, at the least and at the most, until a deferred command is tried again. */
const DEFERRAL = { min: 3, max: 20 };

/**
 * Takes commands into transactions. Commands that wait at the same time share one; a lone command never waits for company.
 * A session is in one transaction at a time per process, so its commands never wait for each other's row lock.
 */
export class GroupCommit implements Service, CommandService {
  readonly name = 'commands';
  readonly #store: CommandStore;
  readonly #settings: GroupCommitSettings;
  readonly #logger: Logger;
  readonly #onCommit: () => void;
  #onRoom: () => void = () => {};
  /** In the order in which they expire. */
  #queue: Waiting[] = [];
  readonly #deferred = new Map<Waiting, NodeJS.Timeout>();
  /** The transactions under way, and how many commands each holds. */
  readonly #running = new Map<Promise<void>, number>();
  readonly #busySessions = new Set<SessionId>();
  #accepting = false;
  #alarm: NodeJS.Timeout | null = null;
  #look: NodeJS.Immediate | null = null;
  #lateLook: NodeJS.Timeout | null = null;

  /** @param onCommit Called after each transaction that wrote events: the relay may be woken. */
  constructor(store: CommandStore, settings: GroupCommitSettings, logger: Logger, onCommit: () => void) {
    this.#store = store;
    this.#settings = settings;
    this.#logger = logger;
    this.#onCommit = onCommit;
  }

  /** Commands that wait for a transaction. */
  get waiting(): number {
    return this.#queue.length + this.#deferred.size;
  }

  /** Commands that the queue takes now; one more is refused. */
  get room(): number {
    return Math.max(0, this.#settings.queueMax - this.waiting);
  }

  /** @param listener Called when there may be room again, at least once for each place that has become free; takes the place of the one given before. Must not throw. */
  whenRoom(listener: () => void): void {
    this.#onRoom = listener;
  }

  start(): Promise<void> {
    this.#accepting = true;
    return Promise.resolve();
  }

  /** Refuses what waits (certainly nothing written) and lets the transactions under way end. */
  async stop(): Promise<void> {
    this.#accepting = false;
    this.#clearAlarm();
    this.#clearLooks();
    for (const timer of this.#deferred.values()) clearTimeout(timer);
    for (const waiting of [...this.#deferred.keys(), ...this.#queue]) waiting.reject(stopping());
    this.#deferred.clear();
    this.#queue = [];
    await Promise.allSettled(this.#running.keys());
  }

  execute(request: CommandRequest): Promise<CommandOutcome> {
    if (!this.#accepting) return Promise.reject(stopping());
    if (this.room === 0) return Promise.reject(tooManyWaiting());
    return new Promise((resolve, reject) => {
      const expiresAt = performance.now() + this.#settings.queueTimeout - (request.waited ?? 0);
      this.#enqueue({ request, expiresAt, resolve, reject });
      if (this.#running.size === 0 && this.#look === null) this.#pump();
      else this.#lookSoon();
    });
  }

  /** To its place: before those that expire later. */
  #enqueue(waiting: Waiting): void {
    const before = this.#queue.findLastIndex(({ expiresAt }) => expiresAt <= waiting.expiresAt);
    if (before === this.#queue.length - 1) this.#queue.push(waiting);
    else this.#queue.splice(before + 1, 0, waiting);
    // The alarm may be set for those behind it.
    if (before === -1) this.#clearAlarm();
  }

  /** Under load: once all that has arrived in this turn of the event loop is here. A transaction of one costs as much as one of ten. */
  #lookSoon(): void {
    this.#look ??= setImmediate(() => {
      this.#look = null;
      this.#pump();
    });
  }

  #clearLooks(): void {
    if (this.#look !== null) clearImmediate(this.#look);
    if (this.#lateLook !== null) clearTimeout(this.#lateLook);
    this.#look = this.#lateLook = null;
  }

  /** Starts transactions while there is room and work; then sets the alarm for what may wait too long. */
  #pump(late = false): void {
    while (this.#accepting && this.#running.size < this.#settings.transactionsMax) {
      if (!late && !this.#isWorthwhile()) {
        this.#lookLater();
        break;
      }
      const batch = this.#take();
      if (batch.length === 0) break;
      this.#settings.onBatch?.(this.#waited(batch));
      const run = this.#run(batch).finally(() => {
        this.#running.delete(run);
        this.#lookSoon();
      });
      this.#running.set(run, batch.length);
    }
    this.#setAlarm();
    if (this.room > 0) this.#onRoom();
  }

  /**
   * Beside another transaction one more is begun when it gets as many commands: many small ones would cost more than they bring
   * forward. What waits goes with the next one that ends, or after COMPANY_WAIT.
   */
  #isWorthwhile(): boolean {
    if (this.#running.size === 0) return true;
    return this.#queue.length >= Math.min(...this.#running.values());
  }

  #lookLater(): void {
    if (this.#queue.length === 0) return;
    this.#lateLook ??= setTimeout(() => {
      this.#lateLook = null;
      this.#pump(true);
    }, COMPANY_WAIT);
  }

  /** The next batch, in the order of arrival, of sessions that are in no transaction of this process. */
  #take(): Waiting[] {
    const batch: Waiting[] = [];
    const left: Waiting[] = [];
    for (const waiting of this.#queue) {
      const ready = batch.length < this.#settings.batchMax && !this.#busySessions.has(waiting.request.sessionId);
      (ready ? batch : left).push(waiting);
    }
    this.#queue = left;
    for (const { request } of batch) this.#busySessions.add(request.sessionId);
    return batch;
  }

  #waited(batch: readonly Waiting[]): number[] {
    const arrival = performance.now() + this.#settings.queueTimeout;
    return batch.map(({ expiresAt }) => arrival - expiresAt);
  }

  /** Neither a full set of transactions nor a busy session keeps a command waiting past its time. */
  #setAlarm(): void {
    const [first] = this.#queue;
    if (this.#alarm !== null || first === undefined) return;
    const wake = () => {
      this.#alarm = null;
      this.#expire();
      this.#setAlarm();
    };
    this.#alarm = setTimeout(wake, Math.max(1, first.expiresAt - performance.now()));
  }

  #clearAlarm(): void {
    if (this.#alarm !== null) clearTimeout(this.#alarm);
    this.#alarm = null;
  }

  #expire(): void {
    const now = performance.now();
    const alive = this.#queue.findIndex((waiting) => waiting.expiresAt > now);
    for (const waiting of this.#queue.splice(0, alive === -1 ? this.#queue.length : alive)) waiting.reject(expired());
    this.#onRoom();
  }

  async #run(batch: readonly Waiting[]): Promise<void> {
    try {
      await this.#attempt(batch);
    } finally {
      for (const { request } of batch) this.#busySessions.delete(request.sessionId);
    }
  }

  async #attempt(batch: readonly Waiting[]): Promise<void> {
    const requests = batch.map((waiting) => waiting.request);
    const work = (transaction: Parameters<typeof processBatch>[0]) =>
      processBatch(transaction, requests, this.#settings);
    let outcomes: readonly BatchOutcome[];
    try {
      outcomes = await this.#store.transaction(work, this.#settings.transactionTimeout, requests);
    } catch (error) {
      return this.#afterFailure(batch, error);
    }
    // Not in the try: what has committed is never decided again.
    this.#deliver(batch, outcomes);
  }

  #deliver(batch: readonly Waiting[], outcomes: readonly BatchOutcome[]): void {
    let wrote = false;
    for (const [index, waiting] of batch.entries()) {
      const outcome = outcomes[index];
      if (outcome === undefined) waiting.reject(new Error('a batch has one outcome per command'));
      else if (outcome.kind === 'deferred') this.#defer(waiting);
      else if (outcome.kind === 'failed') waiting.reject(outcome.error);
      else {
        wrote ||= outcome.kind === 'accepted' && !outcome.replayed;
        waiting.resolve(outcome);
      }
    }
    if (wrote) this.#tellOfCommit();
  }

  #tellOfCommit(): void {
    try {
      this.#onCommit();
    } catch (error) {
      // Only a hint is lost: the relay looks by itself.
      this.#logger.error({ err: error }, 'the wake-up after a commit failed');
    }
  }

  #defer(waiting: Waiting): void {
    if (!this.#accepting) return waiting.reject(stopping());
    const pause = DEFERRAL.min + Math.random() * (DEFERRAL.max - DEFERRAL.min);
    const requeue = () => {
      this.#deferred.delete(waiting);
      if (waiting.expiresAt <= performance.now()) {
        waiting.reject(expired());
        return this.#onRoom();
      }
      this.#enqueue(waiting);
      this.#lookSoon();
    };
    this.#deferred.set(waiting, setTimeout(requeue, pause));
  }

  /** Nothing of the batch was written, or nobody knows: decide each again, alone, unless what failed concerns them all. */
  async #afterFailure(batch: readonly Waiting[], error: unknown): Promise<void> {
    if (error instanceof TransactionConflict) {
      for (const waiting of batch) this.#defer(waiting);
    } else if (error instanceof GenesisError) {
      for (const waiting of batch) waiting.reject(explain(error, waiting.request));
    } else if (batch.length === 1) {
      for (const waiting of batch) waiting.reject(error);
    } else {
      this.#logger.error(
        { err: error, commands: batch.length },
        'a batch failed; its commands are decided again, one by one',
      );
      for (const waiting of batch) {
        if (waiting.expiresAt <= performance.now()) waiting.reject(expired());
        else await this.#attempt([waiting]);
      }
    }
  }
}

function explain(error: GenesisError, { commandId, sessionId }: CommandRequest): GenesisError {
  if (error.code !== 'OUTCOME_UNKNOWN') return error;
  const details = { command_id: commandId, session_id: sessionId };
  return new GenesisError(error.code, error.message, details, { cause: error });
}

function expired(): GenesisError {
  return new GenesisError('OVERLOADED', 'The command waited too long for its turn. Nothing was written; try again.');
}

function stopping(): GenesisError {
  return new GenesisError('UNAVAILABLE', 'This server is stopping. Nothing was written; try again.');
}
