import { Counter, type Registry } from 'prom-client';
import type { ClaimedRow, RecordOutcome } from '../../relay/ports.ts';
import type { RelayStatus } from '../../relay/relay-status.ts';
import { DURATIONS, LATENCIES, SIZES } from './buckets.ts';
import { histogram } from './distribution.ts';
import type { Metrics } from './metrics.ts';
import { relayStatusMetrics } from './relay-status-metrics.ts';

const OUTCOMES: readonly RecordOutcome['kind'][] = ['acknowledged', 'refused', 'unavailable', 'rolled-back', 'fenced'];

/** Something that was done with rows. */
interface Step {
  readonly rows: number;
  readonly milliseconds: number;
}

export type RelayMetrics = ReturnType<typeof relayMetrics>;

/** What the relay of this process does. */
export function relayMetrics(metrics: Metrics) {
  const { registry } = metrics;
  const latency = histogram(registry, {
    name: 'genesis_event_publish_latency_seconds',
    help: "From an event's commit, by the database's clock, to the broker's acknowledgement, by this machine's",
    buckets: LATENCIES,
  });
  const claimed = step(
    registry,
    'claim',
    'Events of one claim; claims that found none are left out',
    'One claim of events',
  );
  const sent = step(
    registry,
    'send',
    'Events of one send',
    'One send, until the broker has acknowledged or refused it',
  );
  const marked = step(
    registry,
    'mark',
    'Events that were marked as published by one statement',
    'Marking events as published',
  );
  const outcomes = new Counter({
    name: 'genesis_relay_send_outcomes_total',
    help: 'What became of the records that were sent',
    labelNames: ['outcome'],
    registers: [registry],
  });
  for (const outcome of OUTCOMES) outcomes.inc({ outcome }, 0);
  const tell = relayStatusMetrics(registry);
  return {
    claimed,
    marked,
    sent(began: number, results: readonly RecordOutcome[]): void {
      sent({ rows: results.length, milliseconds: performance.now() - began });
      for (const [outcome, number] of countOutcomes(results)) outcomes.inc({ outcome }, number);
    },
    /** The broker has acknowledged these rows just now. */
    acknowledged: (published: readonly { readonly row: Pick<ClaimedRow, 'createdAt'> }[]): void => {
      const now = Date.now();
      for (const { row } of published) latency.observe((now - row.createdAt) / 1_000);
    },
    watch(relay: { status(): RelayStatus }): void {
      metrics.onScrape(() => tell(relay.status()));
    },
  };
}

function step(registry: Registry, name: string, size: string, duration: string): (done: Step) => void {
  const sizes = histogram(registry, { name: `genesis_relay_${name}_batch_size`, help: size, buckets: SIZES });
  const durations = histogram(registry, {
    name: `genesis_relay_${name}_duration_seconds`,
    help: duration,
    buckets: DURATIONS,
  });
  return ({ rows, milliseconds }) => {
    if (rows > 0) sizes.observe(rows);
    durations.observe(milliseconds / 1_000);
  };
}

function countOutcomes(results: readonly RecordOutcome[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { kind } of results) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
}
