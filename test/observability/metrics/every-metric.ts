import { pino } from 'pino';
import { httpMetrics } from '../../../src/observability/metrics/http-metrics.ts';
import { createMetrics, type Metrics } from '../../../src/observability/metrics/metrics.ts';
import { outboxMetrics, type DatabaseFigures } from '../../../src/observability/metrics/outbox-metrics.ts';
import { poolMetrics } from '../../../src/observability/metrics/pool-metrics.ts';
import { processMetrics } from '../../../src/observability/metrics/process-metrics.ts';
import { reconcileMetrics, type Reconciling } from '../../../src/observability/metrics/reconcile-metrics.ts';
import { relayMetrics } from '../../../src/observability/metrics/relay-metrics.ts';
import { batchMetrics, transactionMetrics } from '../../../src/observability/metrics/transaction-metrics.ts';
import { traceMetrics } from '../../../src/observability/tracing/trace-metrics.ts';

export const NO_FINDINGS: Reconciling['figures'] = {
  checked: 0,
  findings: {
    LOST: 0,
    GAP: 0,
    REORDERED: 0,
    DUPLICATED: 0,
    ALTERED: 0,
    FOREIGN: 0,
    MISPLACED: 0,
    PREVIOUS: 0,
    MISMARKED: 0,
  },
  elsewhere: 0,
  lag: 0,
  lastRoundAt: null,
};

export const DATABASE_AWAY: DatabaseFigures = {
  clock: () => Promise.reject(new Error('away')),
  outbox: () => Promise.reject(new Error('away')),
};

/** Metrics of a process that does everything that any process of this program does. */
export function everyMetric(figures: DatabaseFigures = DATABASE_AWAY): Metrics {
  const metrics = createMetrics({ version: '0.0.0', service: 'test' });
  processMetrics(metrics);
  httpMetrics(metrics, ['CreateSession']);
  batchMetrics(metrics);
  transactionMetrics(metrics, () => 'deadlock');
  poolMetrics(metrics);
  relayMetrics(metrics);
  outboxMetrics(metrics, figures, pino({ level: 'silent' }));
  traceMetrics(metrics);
  reconcileMetrics(metrics, () => ({ figures: NO_FINDINGS, before: null }));
  return metrics;
}

/** What the registry knows of a metric. */
export interface Registered {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
  readonly help: string;
}

export function registered(metrics: Metrics): readonly Registered[] {
  const known = metrics.registry.getMetricsAsArray() as unknown as readonly {
    readonly name: string;
    readonly type: string;
    readonly help: string;
    readonly labelNames?: readonly string[];
  }[];
  return known.map(({ name, type, help, labelNames = [] }) => ({ name, type, labels: labelNames, help }));
}
