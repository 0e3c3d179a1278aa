import type { ServiceType } from '../config.ts';
import { COMMAND_PAYLOADS } from '../genesis/commands.ts';
import { httpMetrics } from '../observability/metrics/http-metrics.ts';
import { createMetrics, type MetricsPage } from '../observability/metrics/metrics.ts';
import { outboxMetrics, type DatabaseFigures } from '../observability/metrics/outbox-metrics.ts';
import { poolMetrics } from '../observability/metrics/pool-metrics.ts';
import { processMetrics } from '../observability/metrics/process-metrics.ts';
import { relayMetrics } from '../observability/metrics/relay-metrics.ts';
import { batchMetrics, transactionMetrics } from '../observability/metrics/transaction-metrics.ts';
import { traceMetrics } from '../observability/tracing/trace-metrics.ts';
import { countBacklogs } from '../outbox/operations/figures.ts';
import { readClock } from '../postgres/database-clock.ts';
import { conflictKind } from '../postgres/errors.ts';
import { readLastOutboxId } from '../postgres/last-outbox-id.ts';
import { createOperationsStore } from '../postgres/outbox-admin.ts';
import { createPool } from '../postgres/pool.ts';
import { createRead } from '../postgres/read.ts';
import { closing } from './lifecycle.ts';
import type { SharedParts } from './parts.ts';
import { version } from './version.ts';

/** Milliseconds: who scrapes waits no longer. */
const LIMITS = { connectTimeout: 700, statementTimeout: 2_000, lockTimeout: 500, idleInTransactionTimeout: 2_000 };
/** A few milliseconds of the database's time; a larger backlog is not counted to its end. */
const COUNTED = { rows: 20_000, step: 5_000, time: 500 };

export type ProcessMetrics = Awaited<ReturnType<typeof startMetrics>>;

/** What this process measures. Its figures of the database are read on connections of their own: two, while somebody asks. */
export async function startMetrics({ config, infrastructure, lifecycle, logger }: SharedParts) {
  const metrics = createMetrics({ version, service: config.serviceType });
  await lifecycle.start(processMetrics(metrics));
  const pool = createPool({ ...infrastructure.database, poolSize: 2 }, 'genesis-metrics', logger, LIMITS);
  await lifecycle.start(closing('metrics pool', () => pool.end()));
  outboxMetrics(metrics, figuresOf(pool), logger);
  return {
    page: (): Promise<MetricsPage> => metrics.scrape(),
    addPool: poolMetrics(metrics),
    traces: config.tracing === null ? null : traceMetrics(metrics),
    api: has(config.serviceType, 'api-gateway') ? apiMetrics(metrics) : null,
    relay: has(config.serviceType, 'message-relay') ? relayMetrics(metrics) : null,
  };
}

function has(running: ServiceType, service: ServiceType): boolean {
  return running === 'all' || running === service;
}

/** What is measured of the API. */
function apiMetrics(metrics: ReturnType<typeof createMetrics>) {
  return {
    http: httpMetrics(metrics, Object.keys(COMMAND_PAYLOADS)),
    batches: batchMetrics(metrics),
    transactions: transactionMetrics(metrics, conflictKind),
  };
}

function figuresOf(pool: ReturnType<typeof createPool>): DatabaseFigures {
  const read = createRead(pool, LIMITS.statementTimeout);
  const store = createOperationsStore(read, pool, LIMITS.statementTimeout);
  return {
    clock: () => readClock(read),
    async outbox() {
      const relays = await store.relays();
      const backlogs = await countBacklogs(store, relays.shards, COUNTED);
      return { relays, backlogs, lastId: await readLastOutboxId(read) };
    },
  };
}
