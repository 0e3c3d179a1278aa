import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { promtool } from '../../../checks/promtool.ts';
import { TransactionConflict, type CommandStore, type CommandTransaction } from '../../../src/commands/ports.ts';
import { GenesisError } from '../../../src/errors.ts';
import type { SessionId, UserId } from '../../../src/genesis/ids.ts';
import { createMetrics } from '../../../src/observability/metrics/metrics.ts';
import { measuredTransactions } from '../../../src/observability/metrics/measured-publisher.ts';
import { outboxMetrics } from '../../../src/observability/metrics/outbox-metrics.ts';
import { processMetrics } from '../../../src/observability/metrics/process-metrics.ts';
import { reconcileMetrics } from '../../../src/observability/metrics/reconcile-metrics.ts';
import { relayMetrics } from '../../../src/observability/metrics/relay-metrics.ts';
import { measuredCommandStore, transactionMetrics } from '../../../src/observability/metrics/transaction-metrics.ts';
import type { RelayStatus } from '../../../src/relay/relay-status.ts';
import type { RecordOutcome, TransactionalPublisher } from '../../../src/relay/ports.ts';
import { DATABASE_AWAY, everyMetric, NO_FINDINGS } from './every-metric.ts';
import { seriesOf, total } from './series.ts';

const SILENT = pino({ level: 'silent' });
const create = () => createMetrics({ version: '1.2.3', service: 'test' });
const seriesIn = async (metrics: ReturnType<typeof create>) => seriesOf((await metrics.scrape()).text);

// It may have to be fetched first.
test('every metric satisfies promtool', { timeout: 300_000 }, async ({ skip }) => {
  const told = promtool(['check', 'metrics'], (await everyMetric().scrape()).text);
  skip(told === null, 'there is no promtool');
  expect(told).toEqual({ status: 0, output: '' });
});

test('a database that never answers keeps a scrape no longer than half a second, and its figures are absent', async () => {
  const metrics = create();
  const never = Promise.withResolvers<never>().promise;
  outboxMetrics(metrics, { clock: () => never, outbox: () => never }, SILENT);
  const began = performance.now();
  const series = await seriesIn(metrics);
  expect(performance.now() - began).toBeLessThan(1_000);
  expect(total(series, 'genesis_database_up')).toBe(0);
  for (const name of ['genesis_outbox_topic_ahead', 'genesis_relay_members', 'genesis_database_clock_offset_seconds']) {
    expect(total(series, name)).toBeUndefined();
  }
});

test('a database that is back is told again', async () => {
  const metrics = create();
  let figures = DATABASE_AWAY;
  outboxMetrics(metrics, { clock: () => figures.clock(), outbox: () => figures.outbox() }, SILENT);
  expect(total(await seriesIn(metrics), 'genesis_database_up')).toBe(0);
  figures = { clock: async () => Date.now() + 60_000, outbox: () => DATABASE_AWAY.outbox() };
  const series = await seriesIn(metrics);
  expect(total(series, 'genesis_database_up')).toBe(1);
  expect(total(series, 'genesis_database_clock_offset_seconds')).toBeCloseTo(60, 0);
});

test('the process tells CPU, memory and how late its event loop is', async () => {
  const metrics = create();
  const service = processMetrics(metrics);
  await service.start();
  try {
    const late = async () => {
      const until = performance.now() + 100;
      while (performance.now() < until);
      // The sample that came too late is taken now.
      await new Promise((resolve) => setTimeout(resolve, 30));
      return total(await seriesIn(metrics), 'genesis_event_loop_delay_max_seconds');
    };
    await expect.poll(late, { timeout: 20_000 }).toBeGreaterThan(0.05);
    const series = await seriesIn(metrics);
    expect(total(series, 'genesis_event_loop_delay_max_seconds')).toBeLessThan(10);
    expect(total(series, 'process_cpu_seconds_total')).toBeGreaterThan(0.05);
    expect(total(series, 'process_resident_memory_bytes')).toBeGreaterThan(10_000_000);
    expect(total(series, 'genesis_event_loop_utilization_ratio')).toBeGreaterThan(0);
    expect(total(series, 'genesis_build_info', 'version="1.2.3"', 'service="test"')).toBe(1);
  } finally {
    await service.stop();
  }
});

describe('transactions of commands', () => {
  const sessionId = '01890a5d-ac96-774b-bcce-b302099a8057' as SessionId;
  const locked = { sessions: [], busy: [sessionId], busyKeys: [{ userId: 'ada' as UserId, key: 'k' }], now: 0 };
  const transaction: CommandTransaction = {
    lock: async () => locked,
    readInbox: async () => ({ unfinished: [], bound: [] }),
    write: async () => undefined,
  };

  test('are told by how they ended, and what they did not get', async () => {
    const metrics = create();
    const store: CommandStore = { transaction: (work) => work(transaction) };
    const measured = measuredCommandStore(
      store,
      transactionMetrics(metrics, () => 'lock_timeout'),
    );
    await measured.transaction(async (one) => {
      expect(await one.lock([sessionId], [])).toBe(locked);
      await one.write({ inbox: [], finished: [], events: [], outbox: [], sessions: [] });
      expect(await one.readInbox({ sessionIds: [], sessionKeys: [], createKeys: [] })).toEqual({
        unfinished: [],
        bound: [],
      });
    }, 1_000);
    for (const error of [
      new TransactionConflict('again'),
      new GenesisError('UNAVAILABLE', 'away'),
      new GenesisError('OUTCOME_UNKNOWN', 'lost'),
      new Error('a defect'),
    ]) {
      await expect(measured.transaction(() => Promise.reject(error), 1_000)).rejects.toBe(error);
    }
    const series = await seriesIn(metrics);
    const count = 'genesis_command_transaction_duration_seconds_count';
    for (const outcome of ['committed', 'conflict', 'unavailable', 'unknown', 'failed']) {
      expect(total(series, count, `outcome="${outcome}"`)).toBe(1);
    }
    expect(total(series, 'genesis_command_conflicts_total', 'kind="lock_timeout"')).toBe(1);
    expect(total(series, 'genesis_command_conflicts_total')).toBe(1);
    expect(total(series, 'genesis_command_locks_skipped_total', 'kind="session"')).toBe(1);
    expect(total(series, 'genesis_command_locks_skipped_total', 'kind="key"')).toBe(1);
  });
});

describe('a relay', () => {
  const STATUS: RelayStatus = {
    state: 'stalled',
    since: 1_000,
    lastProgressAt: 2_500,
    lastError: 'the words of a broker',
    published: 7,
    found: 2,
    retried: 3,
    failed: 1,
    refused: null,
    databaseAway: false,
    delivery: 'exactly-once',
    shards: [{ shard: 5, floor: 1, position: '9', state: 'unavailable', lastProgressAt: null, lastError: 'words' }],
  };

  test('is told by its state; a shard that it gave back is told no more', async () => {
    const metrics = create();
    let status = STATUS;
    relayMetrics(metrics).watch({ status: () => status });
    const before = await seriesIn(metrics);
    expect(total(before, 'genesis_relay_state', 'state="stalled"')).toBe(1);
    expect(total(before, 'genesis_relay_state')).toBe(1);
    expect(total(before, 'genesis_relay_circuit_open')).toBe(1);
    expect(total(before, 'genesis_relay_info', 'delivery="exactly-once"')).toBe(1);
    expect(total(before, 'genesis_relay_shard_state', 'shard="5"', 'state="unavailable"')).toBe(1);
    expect(total(before, 'genesis_relay_last_progress_timestamp_seconds')).toBe(2.5);
    expect(total(before, 'genesis_relay_published_total')).toBe(7);
    expect(total(before, 'genesis_relay_found_published_total')).toBe(2);
    expect(total(before, 'genesis_relay_retries_total')).toBe(3);
    expect(total(before, 'genesis_relay_failed_total')).toBe(1);
    expect([...before.keys()].join('\n')).not.toContain('words');
    status = { ...STATUS, state: 'standby', shards: [], published: 9, refused: 'another mode' };
    const after = await seriesIn(metrics);
    expect(total(after, 'genesis_relay_shard_state')).toBeUndefined();
    expect(total(after, 'genesis_relay_leases_held')).toBe(0);
    expect(total(after, 'genesis_relay_circuit_open')).toBe(0);
    expect(total(after, 'genesis_relay_refused')).toBe(1);
    expect(total(after, 'genesis_relay_published_total')).toBe(9);
  });

  test('sends as before, and what became of its records is counted', async () => {
    const metrics = create();
    const meter = relayMetrics(metrics);
    const outcomes: RecordOutcome[] = [
      { kind: 'acknowledged', partition: 0, offset: '1' },
      { kind: 'acknowledged', partition: 0, offset: '2' },
      { kind: 'rolled-back', error: 'x' },
    ];
    const calls: string[] = [];
    const publisher: TransactionalPublisher = {
      send: async () => outcomes,
      open: async (id) => void calls.push(`open ${id}`),
      fence: async (id) => void calls.push(`fence ${id}`),
      close: async () => void calls.push('close'),
      get isOpen() {
        return calls.length === 1;
      },
    };
    const measured = measuredTransactions(publisher, meter);
    expect(await measured.send([])).toBe(outcomes);
    expect(measured.isOpen).toBe(false);
    const { signal } = new AbortController();
    await measured.open('one', signal);
    expect(measured.isOpen).toBe(true);
    await measured.fence('other', signal);
    await measured.close();
    expect(calls).toEqual(['open one', 'fence other', 'close']);
    meter.acknowledged([{ row: { createdAt: Date.now() - 20_000 } }, { row: { createdAt: Date.now() + 20_000 } }]);
    meter.claimed({ rows: 0, milliseconds: 4 });
    const series = await seriesIn(metrics);
    expect(total(series, 'genesis_relay_send_outcomes_total', 'outcome="acknowledged"')).toBe(2);
    expect(total(series, 'genesis_relay_send_outcomes_total', 'outcome="rolled-back"')).toBe(1);
    expect(total(series, 'genesis_relay_send_batch_size_sum')).toBe(3);
    expect(total(series, 'genesis_event_publish_latency_seconds_bucket', 'le="10"')).toBe(1);
    expect(total(series, 'genesis_event_publish_latency_seconds_bucket', 'le="30"')).toBe(2);
    expect(total(series, 'genesis_relay_claim_batch_size_count')).toBe(0);
    expect(total(series, 'genesis_relay_claim_duration_seconds_count')).toBe(1);
  });
});

test('reconciliation is told by kind; what is not known yet is absent', async () => {
  const metrics = create();
  let following: Parameters<typeof reconcileMetrics>[1] = () => ({ figures: NO_FINDINGS, before: null });
  reconcileMetrics(metrics, () => following());
  const before = await seriesIn(metrics);
  expect(total(before, 'genesis_reconcile_differences_total')).toBe(0);
  expect(total(before, 'genesis_reconcile_initial_differences')).toBeUndefined();
  expect(total(before, 'genesis_reconcile_last_round_timestamp_seconds')).toBeUndefined();
  const findings = { ...NO_FINDINGS.findings, LOST: 2 };
  const figures = { ...NO_FINDINGS, findings, checked: 9, lag: 4, elsewhere: 1, lastRoundAt: 5_000 };
  following = () => ({ figures, before: { ...NO_FINDINGS.findings, LOST: 3 } });
  const after = await seriesIn(metrics);
  expect(total(after, 'genesis_reconcile_differences_total', 'kind="LOST"')).toBe(2);
  expect(total(after, 'genesis_reconcile_differences_total')).toBe(2);
  expect(total(after, 'genesis_reconcile_initial_differences', 'kind="LOST"')).toBe(3);
  expect(total(after, 'genesis_reconcile_initial_differences')).toBe(3);
  expect(total(after, 'genesis_reconcile_records_checked_total')).toBe(9);
  expect(total(after, 'genesis_reconcile_lag_records')).toBe(4);
  expect(total(after, 'genesis_reconcile_last_round_timestamp_seconds')).toBe(5);
});
