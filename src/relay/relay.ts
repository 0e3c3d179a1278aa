import { AssertionError } from 'node:assert/strict';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { backoffDelay, type BackoffBounds } from '../backoff.ts';
import type { RelayConfig } from '../config.ts';
import type { Service } from '../service.ts';
import { Drain } from './drain.ts';
import type { DrainOptions } from './drain-context.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import { OwnedShards } from './owned-shards.ts';
import { pause } from './pause.ts';
import {
  DeliveryModeDiffers,
  LeaseLost,
  type Membership,
  type Publisher,
  type RelayGroup,
  type TopicReader,
  type TransactionalPublisher,
  type Wakeup,
} from './ports.ts';
import { OutcomeRecorder, type Published, type RecorderOptions } from './record-outcomes.ts';
import { StatusBoard, type RelayStatus } from './relay-status.ts';
import { WorkSignal } from './wait-for-work.ts';

/** What a relay works with. */
export interface RelayPorts {
  readonly group: RelayGroup;
  /** Sends, at least once. */
  readonly publisher: Publisher;
  /** Another one, at least once: tries partitions that are away. */
  readonly probe: Publisher;
  /** Sends, exactly once; and fences whoever sent so before. */
  readonly transactions: TransactionalPublisher;
  readonly reader: TopicReader;
  readonly wakeup: Wakeup;
  readonly logger: Logger;
}

export interface RelayOptions extends Omit<RelayConfig, 'healthPort'> {
  /** Most bytes of one partition in one send; must stay below the topic's max.message.bytes. Default 900,000. */
  readonly maxPartitionBytes?: number;
  /** Asks what `maxPartitionBytes` is now; used when a batch was refused. */
  readonly askMaxPartitionBytes?: () => Promise<number>;
  /** Delays between probes of a broker, partition or database that is away. Default 200 ms to 10 s. */
  readonly backoff?: BackoffBounds;
  /** Milliseconds between beats. Default 1,000. */
  readonly beatInterval?: number;
  /** Milliseconds that `stop` leaves the send in flight before it abandons it. Default 5,000. */
  readonly stopGrace?: number;
  /** Called once per row after it was marked SENT, in order. Must not throw. */
  readonly onPublished?: (published: Published) => void;
  readonly onClaim?: DrainOptions['onClaim'];
  readonly onAcknowledged?: RecorderOptions['onAcknowledged'];
  readonly onMark?: RecorderOptions['onMark'];
}

const BACKOFF: BackoffBounds = { first: 200, most: 10_000 };
const MARK_GRACE_MS = 1_000;

/** Publishes the rows of the shards that it holds; see docs/relay.md. */
export class Relay implements Service {
  readonly name = 'relay';
  readonly #ports: RelayPorts;
  readonly #options: DrainOptions;
  readonly #stopGrace: number;
  readonly #board: StatusBoard;
  readonly #recorder: OutcomeRecorder;
  #maxPartitionBytes: number;
  #membership: Membership | null = null;
  #life: { readonly stopping: AbortController; readonly ended: Promise<void> } | null = null;

  constructor(ports: RelayPorts, options: RelayOptions) {
    this.#ports = ports;
    const { backoff = BACKOFF, beatInterval = 1_000, maxPartitionBytes = 900_000, onPublished } = options;
    this.#maxPartitionBytes = maxPartitionBytes;
    this.#options = { ...options, backoff, beatInterval, maxPartitionBytes };
    this.#stopGrace = options.stopGrace ?? 5_000;
    this.#board = new StatusBoard(ports.logger, options.delivery);
    this.#recorder = new OutcomeRecorder({
      logger: ports.logger,
      board: this.#board,
      backoff,
      onFailed: options.onFailed,
      onPublished: (published) => onPublished?.(published),
      onAcknowledged: options.onAcknowledged,
      onMark: options.onMark,
    });
  }

  status(): RelayStatus {
    return this.#board.status;
  }

  /** Sets `maxPartitionBytes` when it is learnt after the relay was made; takes effect with the next membership. */
  limitSends(maxPartitionBytes: number): void {
    this.#maxPartitionBytes = maxPartitionBytes;
  }

  /** Resolves at once: a relay without database or broker waits for them. */
  async start(): Promise<void> {
    if (this.#life !== null) return;
    const stopping = new AbortController();
    this.#board.enter('standby');
    this.#life = { stopping, ended: this.#run(stopping.signal) };
  }

  /** Lets the send in flight end, for `stopGrace` at most, marks what was acknowledged and gives the shards back. */
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
    await this.#closePublishers();
    await Promise.race([ended, sleep(MARK_GRACE_MS, undefined, { ref: false })]);
    await this.#membership?.leave();
  }

  async #run(stopping: AbortSignal): Promise<void> {
    const work = new WorkSignal(this.#ports.wakeup);
    let failures = 0;
    while (!stopping.aborted) {
      this.#board.enter('standby');
      const began = performance.now();
      await this.#stay(work, stopping);
      failures = performance.now() - began > this.#options.backoff.most ? 1 : failures + 1;
      await pause(backoffDelay(failures, this.#options.backoff), stopping);
    }
    work.close();
    await Promise.all([this.#closePublishers(), this.#ports.reader.close()]);
    this.#board.enter('stopped');
  }

  /** One membership, until it is lost or given up. Never rejects. */
  async #stay(work: WorkSignal, stopping: AbortSignal): Promise<void> {
    const { group, logger } = this.#ports;
    const { delivery } = this.#options;
    try {
      const membership = await group.join({ name: `${hostname()}:${process.pid}`, delivery }, stopping);
      this.#membership = membership;
      this.#board.databaseAnswered();
      this.#board.refused(null);
      logger.info({ member: membership.id, delivery }, 'the relay has joined');
      await this.#drain(membership, work, stopping);
    } catch (error) {
      this.#board.enter('standby');
      if (!stopping.aborted) this.#tell(error);
    } finally {
      await this.#membership?.leave();
      this.#membership = null;
      this.#board.holds([]);
    }
  }

  async #drain(membership: Membership, work: WorkSignal, stopping: AbortSignal): Promise<void> {
    const { publisher, transactions, probe, reader, logger } = this.#ports;
    const keeper = new LeaseKeeper(membership, () => performance.now());
    // What another relay may send now must not be sent by us any more.
    keeper.lost.addEventListener('abort', () => void this.#closePublishers(), { once: true });
    const drain = new Drain({
      membership,
      keeper,
      shards: new OwnedShards(this.#options.backoff),
      publisher: this.#options.delivery === 'exactly-once' ? transactions : publisher,
      transactions,
      probe,
      reader,
      recorder: this.#recorder,
      board: this.#board,
      work,
      logger,
      options: { ...this.#options, maxPartitionBytes: this.#maxPartitionBytes },
    });
    try {
      await drain.run(stopping);
    } finally {
      await this.#closePublishers();
    }
  }

  async #closePublishers(): Promise<void> {
    const { publisher, transactions, probe } = this.#ports;
    await Promise.all([publisher.close(), transactions.close(), probe.close()]);
  }

  #tell(error: unknown): void {
    if (error instanceof AssertionError) {
      this.#ports.logger.error({ err: error }, 'a defect: nothing is sent until it is mended');
      this.#board.broken(error.message);
    } else if (error instanceof LeaseLost) {
      const reason = error.cause instanceof Error ? error.cause.message : error.message;
      this.#ports.logger.warn({ error: reason }, 'the relay lost its shards: joining anew');
      this.#board.broken(reason);
    } else if (error instanceof DeliveryModeDiffers) {
      this.#ports.logger.error({ error: error.message }, 'the relay cannot join');
      this.#board.refused(error.message);
    } else {
      this.#board.databaseAway(String(error));
    }
  }
}
