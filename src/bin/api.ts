import { Deadlines } from '../commands/deadlines.ts';
import { GroupCommit } from '../commands/group-commit.ts';
import type { CommandStore } from '../commands/ports.ts';
import { createUuidGenerator } from '../commands/uuid-generator.ts';
import type { TokenKeys } from '../config.ts';
import type { HttpDependencies, ReadinessCheck } from '../http/ports.ts';
import { createHttpServer } from '../http/server.ts';
import { createTokenVerifier } from '../http/tokens.ts';
import { measuredCommandStore } from '../observability/metrics/transaction-metrics.ts';
import { createOperations } from '../outbox/operations/operations.ts';
import { createCommandStore } from '../postgres/command-store.ts';
import { ping } from '../postgres/ping.ts';
import { createOverdueRequests } from '../postgres/overdue-requests.ts';
import { createOperationsStore } from '../postgres/outbox-admin.ts';
import { BY_INDEX, createPool, DEFAULT_LIMITS, type PoolLimits } from '../postgres/pool.ts';
import { createRead } from '../postgres/read.ts';
import { readSession } from '../postgres/session-reader.ts';
import { readSettings } from '../postgres/settings.ts';
import { createCommitNotifier } from '../postgres/wakeup.ts';
import type { LocalWakeup } from '../relay/local-wakeup.ts';
import type { Relay } from '../relay/relay.ts';
import { closing } from './lifecycle.ts';
import type { Parts } from './parts.ts';
import { createReading, withHints } from './reading.ts';
import { relayCheck } from './relay-check.ts';
import { untilAvailable } from './until-available.ts';

/** Shares of REQUEST_TIMEOUT: waiting for a transaction, and the transaction. What is left over is for everything else. */
const QUEUE_SHARE = 0.4;
const TRANSACTION_SHARE = 0.5;
/** The same of one statement: less than what is left of a transaction before its connection is cut. */
const STATEMENT_SHARE = 0.28;
/** The same of one read: a list takes three of them. */
const READ_SHARE = 0.3;

export interface ApiParts extends Parts {
  readonly tokenKeys: TokenKeys;
  /** The relay in the same process, if there is one. */
  readonly relay: Relay | null;
}

/** Starts the API; resolves with its address. */
export async function startApi({
  config,
  infrastructure,
  lifecycle,
  logger,
  signal,
  wakeup,
  tokenKeys,
  relay,
  metrics,
  tracing,
}: ApiParts): Promise<string> {
  const pool = createPool(infrastructure.database, 'genesis-api', logger, poolLimits(config.http), BY_INDEX);
  await lifecycle.start(closing('pool', () => pool.end()));
  metrics?.addPool('api', pool);
  const { requestTimeout } = config.http;
  const read = createRead(pool, requestTimeout * READ_SHARE);
  const { shards } = await untilAvailable('the database', () => readSettings(read), logger, signal);
  const newId = createUuidGenerator();
  const settings = { ...commandSettings(config, shards), newId, onBatch: metrics?.api?.batches.batch };
  const { queries, feed } = createReading(read, logger);
  await lifecycle.start(feed);
  const onCommit = wakeRelay(wakeup, relay, shards, createCommitNotifier(read, logger));
  const groupCommit = new GroupCommit(commandStore(pool, metrics, tracing), settings, logger, onCommit);
  metrics?.api?.batches.watch(groupCommit);
  await lifecycle.start(groupCommit);
  const hinting = withHints(groupCommit, feed);
  const commands = tracing === null ? hinting : tracing.commands(hinting);
  await lifecycle.start(new Deadlines(createOverdueRequests(read), commands, settings, logger));
  const server = createHttpServer({
    config: config.http,
    tokens: createTokenVerifier({ ...config.tokenRules, keys: tokenKeys }),
    commands,
    queue: groupCommit,
    sessions: { read: (sessionId) => readSession(read, sessionId) },
    queries,
    operations: createOperations(createOperationsStore(read, pool, requestTimeout * TRANSACTION_SHARE)),
    feed,
    readiness: () => readiness(() => ping(read), relay),
    ...measuring(metrics),
    ...(tracing === null ? {} : { tracer: tracing.requests }),
    logger,
    newId,
  });
  await lifecycle.start(server);
  return server.address();
}

/**
 * A statement ends before the connection would be cut, as a rule: COMMIT travels with the rows. If several are slow, each within its
 * limit, the server notices the cut (client_connection_check_interval); the outcome is looked up in any case.
 */
function poolLimits({ requestTimeout }: ApiParts['config']['http']): PoolLimits {
  const statementTimeout = Math.min(DEFAULT_LIMITS.statementTimeout, Math.ceil(requestTimeout * STATEMENT_SHARE));
  return { ...DEFAULT_LIMITS, statementTimeout };
}

function commandSettings({ commands, http, topic }: ApiParts['config'], shards: number) {
  return {
    ...commands,
    destination: { topic, shards },
    queueTimeout: http.requestTimeout * QUEUE_SHARE,
    transactionTimeout: http.requestTimeout * TRANSACTION_SHARE,
  };
}

function commandStore(
  pool: ReturnType<typeof createPool>,
  metrics: Parts['metrics'],
  tracing: Parts['tracing'],
): CommandStore {
  const store = createCommandStore(pool);
  const meter = metrics?.api?.transactions;
  const measured = meter === undefined ? store : measuredCommandStore(store, meter);
  return tracing === null ? measured : tracing.commandStore(measured);
}

function measuring(metrics: Parts['metrics']): Pick<HttpDependencies, 'metrics' | 'meter'> {
  if (metrics === null) return {};
  const { page, api } = metrics;
  return api === null ? { metrics: page } : { metrics: page, meter: api.http };
}

/** Wakes the relay in this process, and those elsewhere unless it holds all shards. */
function wakeRelay(wakeup: LocalWakeup, relay: Relay | null, shards: number, notifyOthers: () => void): () => void {
  return () => {
    wakeup.notify();
    if (relay === null || relay.status().shards.length < shards) notifyOthers();
  };
}

/**
 * The API is ready while its database answers: commands are taken without Kafka, and without a relay beside it. A relay in this
 * process that is stuck makes it unready, for somebody has to look.
 */
async function readiness(askDatabase: () => Promise<void>, relay: Relay | null): Promise<readonly ReadinessCheck[]> {
  const database = await askDatabase().then(
    () => ({ name: 'database', ok: true }),
    (error: unknown) => ({ name: 'database', ok: false, detail: wordsOf(error) }),
  );
  return relay === null ? [database] : [database, relayCheck(relay)];
}

/** The driver's words, where they are known. */
function wordsOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}
