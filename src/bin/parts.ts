import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import type { Tracing } from '../observability/tracing/start-tracing.ts';
import type { LocalWakeup } from '../relay/local-wakeup.ts';
import type { Infrastructure } from './infrastructure.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { ProcessMetrics } from './metrics.ts';

/** What the services of one process share. */
export interface Parts {
  readonly config: Config;
  readonly infrastructure: Infrastructure;
  readonly lifecycle: Lifecycle;
  readonly logger: Logger;
  /** Aborts when the process is to stop: whoever waits for a dependency gives up. */
  readonly signal: AbortSignal;
  readonly wakeup: LocalWakeup;
  /** Null: nobody could ask for them. */
  readonly metrics: ProcessMetrics | null;
  /** Null: nothing is traced. */
  readonly tracing: Tracing | null;
  /** Ends the process with this error: something that runs in the background found that it cannot go on. */
  readonly fail: (error: unknown) => void;
}

/** What there is before anything is measured or started. */
export type SharedParts = Omit<Parts, 'wakeup' | 'metrics' | 'tracing'>;
