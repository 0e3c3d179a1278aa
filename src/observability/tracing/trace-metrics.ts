import { Counter } from 'prom-client';
import type { Metrics } from '../metrics/metrics.ts';
import type { DropReason } from './span-queue.ts';

const REASONS: readonly DropReason[] = ['queue_full', 'export_failed', 'stopped'];

export type TraceMetrics = ReturnType<typeof traceMetrics>;

/** What became of spans. Only for a process that traces. */
export function traceMetrics({ registry }: Metrics) {
  const registers = [registry];
  const exported = new Counter({
    name: 'genesis_trace_spans_exported_total',
    help: 'Spans that the receiver of traces has taken',
    registers,
  });
  const dropped = new Counter({
    name: 'genesis_trace_spans_dropped_total',
    help: 'Spans that were not exported, by why: their traces are incomplete',
    labelNames: ['reason'],
    registers,
  });
  for (const reason of REASONS) dropped.inc({ reason }, 0);
  return {
    exported: (spans: number): void => exported.inc(spans),
    dropped: (spans: number, reason: DropReason): void => dropped.inc({ reason }, spans),
  };
}
