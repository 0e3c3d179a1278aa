import type { Logger } from 'pino';
import type { TraceMetrics } from './trace-metrics.ts';
import type { DropReason, SpanFates } from './span-queue.ts';

/** Milliseconds between two lines about spans that were dropped. */
const LINES = 60_000;

/** Counts what became of spans, and tells of those that were dropped: at once, then a line a minute at the most. */
export function tellFates(logger: Logger, metrics: TraceMetrics | null): SpanFates {
  let untold = 0;
  let toldAt = -Infinity;
  return {
    exported: (spans) => metrics?.exported(spans),
    dropped(spans: number, reason: DropReason, error?: Error) {
      metrics?.dropped(spans, reason);
      untold += spans;
      const now = performance.now();
      if (now - toldAt < LINES && reason !== 'stopped') return;
      toldAt = now;
      // Not the error itself: the receiver's answer hangs on it.
      logger.warn(
        { spans: untold, reason, ...(error === undefined ? {} : { error: error.message }) },
        'spans were dropped: their traces are incomplete',
      );
      untold = 0;
    },
  };
}
