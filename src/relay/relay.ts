import { AssertionError } from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { RelayConfig } from '../config.ts';
import type { Service } from '../service.ts';
import { backoffDelay, type BackoffBounds } from '../backoff.ts';
import type { Published } from './drain-batch.ts';
import { drainOutbox, type DrainOptions } from './drain-outbox.ts';
import { pause } from './pause.ts';
import { LeaseLost, type HeldLease, type Lease, type Publisher, type Wakeup } from './ports.ts';
import { OutcomeRecorder } from './record-outcomes.ts';
import { StatusBoard, type RelayStatus } from './relay-status.ts';
import { WorkSignal } from './wait-for-work.ts';

/** What a relay works with. */
export interface RelayPorts {
  readonly lease: Lease;
  readonly publisher: Publisher;
  readonly wakeup: Wakeup;
  readonly logger: Logger;
}

export interface RelayOptions extends RelayConfig {
  /** Most rows in one claim under a backlog. Default 2,000. */
  readonly batchMax?: number;
  /** Most bytes of one partition in one send; must stay below the topic's max.message.bytes. Default 900,000. */
  readonly maxPartitionBytes?: number;
  /** Delays between probes of a broker or database that is away. Default 200 ms to 10 s. */
  readonly backoff?: BackoffBounds;
  /** Milliseconds that `stop` leaves the send in flight before it abandons it. Default 5,000. */
  readonly stopGrace?: number;
  /** Called once per row after it was marked SENT, in order. Must not throw. */
  readonly onPublished?: (published: Published) => void;
}

const BACKOFF: BackoffBounds = { first: 200, most: 10_000 };
const MARK_GRACE_MS = 1_000;

/** Publishes the outbox while it holds the lease; see docs/relay.md. */
export class Relay implements Service {
  readonly name = 'relay';
  readonly #ports: RelayPorts;
  readonly #backoff: BackoffBounds;
  readonly #stopGrace: number;
  readonly #board: StatusBoard;
  #drainOptions: Omit<DrainOptions, 'work'>;
  #held: HeldLease | null = null;
  #life: { readonly stopping: AbortController; readonly ended: Promise<void> } | null = null;

  constructor(ports: RelayPorts, options: RelayOptions) {
    this.#ports = ports;
    this.#backoff = options.backoff ?? BACKOFF;
    this.#stopGrace = options.stopGrace ?? 5_000;
    this.#board = new StatusBoard(ports.logger);
    this.#drainOptions = {
      publisher: ports.publisher,
      board: this.#board,
      recorder: new OutcomeRecorder({
        logger: ports.logger,
        board: this.#board,
        backoff: this.#backoff,
        onPublished: (published) => options.onPublished?.(published),
      }),
      batchSize: options.batchSize,
      batchMax: options.batchMax ?? 2_000,
      maxPartitionBytes: options.maxPartitionBytes ?? 900_000,
      pollInterval: options.pollInterval,
      backoff: this.#backoff,
    };
  }

  status(): RelayStatus {
    return this.#board.status;
  }

  /** Sets `maxPartitionBytes` when it is learnt after the relay was made; takes effect with the next lease. */
  limitSends(maxPartitionBytes: number): void {
    this.#drainOptions = { ...this.#drainOptions, maxPartitionBytes };
  }

  /** Resolves at once: a relay without database or broker waits for them. */
  async start(): Promise<void> {
    if (this.#life !== null) return;
    const stopping = new AbortController();
    this.#board.enter('standby');
    this.#life = { stopping, ended: this.#run(stopping.signal) };
  }

  /** Lets the send in flight end, for `stopGrace` at most, marks what was acknowledged and gives the lease back. */
  async stop(): Promise<void> {
    const life = this.#life;
    if (life === null) return;
    life.stopping.abort();
    const grace = setTimeout(() => void this.#abandon(life.ended), this.#stopGrace);
    await life.ended;
    clearTimeout(grace);
    this.#life = null;
  }

  /** Ends the send in flight; what it still learnt may be marked, but a database that does not answer must not keep us. */
  async #abandon(ended: Promise<void>): Promise<void> {
    await this.#ports.publisher.close();
    await Promise.race([ended, sleep(MARK_GRACE_MS, undefined, { ref: false })]);
    await this.#held?.release();
  }

  async #run(stopping: AbortSignal): Promise<void> {
    const work = new WorkSignal(this.#ports.wakeup);
    let failures = 0;
    while (!stopping.aborted) {
      this.#board.enter('standby');
      const began = performance.now();
      await this.#drainOneLease(work, stopping);
      failures = performance.now() - began > this.#backoff.most ? 1 : failures + 1;
      await pause(backoffDelay(failures, this.#backoff), stopping);
    }
    work.close();
    await this.#ports.publisher.close();
    this.#board.enter('stopped');
  }

  /** One turn from standby until the lease is gone or given back. Never rejects. */
  async #drainOneLease(work: WorkSignal, stopping: AbortSignal): Promise<void> {
    try {
      const held = await this.#ports.lease.acquire(stopping);
      this.#held = held;
      this.#board.databaseAnswered();
      this.#ports.logger.info('the relay holds the lease');
      // What another relay may send again now must not be sent by us any more.
      held.lost.addEventListener('abort', () => void this.#ports.publisher.close(), { once: true });
      await drainOutbox(held, { ...this.#drainOptions, work }, stopping);
    } catch (error) {
      this.#board.enter('standby');
      if (!stopping.aborted) this.#tell(error);
    } finally {
      await this.#held?.release();
      this.#held = null;
    }
  }

  #tell(error: unknown): void {
    if (error instanceof AssertionError) {
      this.#ports.logger.error({ err: error }, 'a defect: nothing is sent until it is mended');
      this.#board.broken(error.message);
    } else if (error instanceof LeaseLost) {
      const reason = error.cause instanceof Error ? error.cause.message : error.message;
      this.#ports.logger.warn({ error: reason }, 'the relay lost its lease: standing by');
      this.#board.broken(reason);
    } else {
      this.#board.databaseAway(String(error));
    }
  }
}
