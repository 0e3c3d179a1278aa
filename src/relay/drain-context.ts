import type { Logger } from 'pino';
import type { BackoffBounds } from '../backoff.ts';
import type { LeaseKeeper } from './lease-keeper.ts';
import type { OwnedShards } from './owned-shards.ts';
import type { DeliveryMode, Membership, Publisher, TopicReader, TransactionalPublisher } from './ports.ts';
import type { OutcomeRecorder } from './record-outcomes.ts';
import type { StatusBoard } from './relay-status.ts';
import type { WorkSignal } from './wait-for-work.ts';

export interface DrainOptions {
  readonly delivery: DeliveryMode;
  /** Most rows in one claim, and under a backlog. */
  readonly batchSize: number;
  readonly batchMax: number;
  /** Most bytes of one partition in one send. */
  readonly maxPartitionBytes: number;
  /** Asks what `maxPartitionBytes` is now: somebody may have changed the topic. */
  readonly askMaxPartitionBytes?: (() => Promise<number>) | undefined;
  /** Milliseconds between looks at the outbox when no hint came. */
  readonly pollInterval: number;
  /** Milliseconds between beats. */
  readonly beatInterval: number;
  /** Between probes of a broker or partition that is away. */
  readonly backoff: BackoffBounds;
  /** Told of each claim: how many rows, and how long it took. For measurements; must not throw. */
  readonly onClaim?: ((claim: { readonly rows: number; readonly milliseconds: number }) => void) | undefined;
}

/** What a drain works with during one membership. */
export interface DrainContext {
  readonly membership: Membership;
  readonly keeper: LeaseKeeper;
  readonly shards: OwnedShards;
  /** By which rows are sent; exactly once it is `transactions`. */
  readonly publisher: Publisher;
  readonly transactions: TransactionalPublisher;
  /** At least once: tries partitions that are away, beside the others. */
  readonly probe: Publisher;
  readonly reader: TopicReader;
  readonly recorder: OutcomeRecorder;
  readonly board: StatusBoard;
  readonly work: WorkSignal;
  readonly logger: Logger;
  readonly options: DrainOptions;
}
