import { Counter, Gauge } from 'prom-client';
import type { ReconcileFigures } from '../../operations/reconcile-figures.ts';
import type { Metrics } from './metrics.ts';

/** What reconciliation has come to; asked at each scrape. */
export interface Reconciling {
  readonly figures: ReconcileFigures;
  /** Differences of the first, whole look, by kind; null: it is not done, or was left out. */
  readonly before: ReconcileFigures['findings'] | null;
}

/** What continuous reconciliation of topic and database has come to. */
export function reconcileMetrics(metrics: Metrics, following: () => Reconciling): void {
  const registers = [metrics.registry];
  const checked = new Counter({
    name: 'genesis_reconcile_records_checked_total',
    help: 'New records of the topic that were compared with their events',
    registers,
  });
  const differences = new Counter({
    name: 'genesis_reconcile_differences_total',
    help: 'Differences that were found in what is new, by kind (docs/operations/reconcile.md)',
    labelNames: ['kind'],
    registers,
  });
  const elsewhere = new Counter({
    name: 'genesis_reconcile_rows_elsewhere_total',
    help: 'Rows of event_outbox that name another topic: they were left out',
    registers,
  });
  const initial = new Gauge({
    name: 'genesis_reconcile_initial_differences',
    help: 'Differences that the first look at the whole topic has found, by kind; absent before its end, and with --since-now',
    labelNames: ['kind'],
    registers,
  });
  const lag = new Gauge({
    name: 'genesis_reconcile_lag_records',
    help: 'Records of the topic that are not compared yet',
    registers,
  });
  const round = new Gauge({
    name: 'genesis_reconcile_last_round_timestamp_seconds',
    help: 'When a look at what is new last ended, in seconds since the epoch; absent before the first',
    registers,
  });
  metrics.onScrape(() => {
    const { figures, before } = following();
    checked.reset();
    checked.inc(figures.checked);
    differences.reset();
    for (const [kind, found] of Object.entries(figures.findings)) differences.inc({ kind }, found);
    elsewhere.reset();
    elsewhere.inc(figures.elsewhere);
    lag.set(figures.lag);
    if (figures.lastRoundAt === null) round.remove();
    else round.set(figures.lastRoundAt / 1_000);
    initial.reset();
    for (const [kind, found] of Object.entries(before ?? {})) initial.set({ kind }, found);
  });
}
