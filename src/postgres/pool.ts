import pg from 'pg';
import type { Logger } from 'pino';
import type { DatabaseConfig } from '../config.ts';

export interface PoolLimits {
  /** Milliseconds to wait for a connection. */
  readonly connectTimeout: number;
  /** Milliseconds that one statement may run. */
  readonly statementTimeout: number;
  /** Milliseconds that a statement may wait for a lock. */
  readonly lockTimeout: number;
  /** Milliseconds after which the server ends a transaction whose client says nothing: a frozen process keeps no lock for long. */
  readonly idleInTransactionTimeout: number;
}

export const DEFAULT_LIMITS: PoolLimits = {
  connectTimeout: 2_000,
  statementTimeout: 5_000,
  lockTimeout: 1_000,
  idleInTransactionTimeout: 5_000,
};

/**
 * How soon the server ends the session of a client that vanished without a word: after 30 s of silence 3 probes 10 s apart, and
 * as long for bytes that nobody acknowledges. The default is two hours. And that of one whose connection is closed, within 250 ms of
 * work: without it what it has received is carried out first, COMMIT included.
 */
const SERVER_OPTIONS = [
  'client_connection_check_interval=250',
  'tcp_keepalives_idle=30',
  'tcp_keepalives_interval=10',
  'tcp_keepalives_count=3',
  'tcp_user_timeout=60000',
];

/**
 * For programs whose every statement looks up what it wants by an index, whatever the statistics say: those of a young table know
 * nothing, and a plan is kept for as long as they do not change. To compile a statement takes longer than any of these runs, and so
 * does planning it anew each time, as PostgreSQL would, because with its values a plan seems cheaper.
 */
export const BY_INDEX = [
  'enable_seqscan=off',
  'enable_bitmapscan=off',
  'enable_hashjoin=off',
  'enable_mergejoin=off',
  'jit=off',
  'plan_cache_mode=force_generic_plan',
];

/**
 * A pool of connections. `application_name` tells in pg_stat_activity who they are.
 * The caller ends it. `settings` are those of each session besides, as `name=value`.
 */
export function createPool(
  config: DatabaseConfig,
  name: string,
  logger: Logger,
  limits: PoolLimits = DEFAULT_LIMITS,
  settings: readonly string[] = [],
): pg.Pool {
  const pool = new pg.Pool({
    connectionString: config.url,
    max: config.poolSize,
    application_name: name,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: limits.connectTimeout,
    statement_timeout: limits.statementTimeout,
    lock_timeout: limits.lockTimeout,
    idle_in_transaction_session_timeout: limits.idleInTransactionTimeout,
    options: [...SERVER_OPTIONS, ...settings].map((setting) => `-c ${setting}`).join(' '),
  });
  // An idle connection that breaks is replaced at the next use; without a listener the error would end the process.
  pool.on('error', (error) => logger.warn({ error: error.message }, 'an idle database connection broke'));
  return pool;
}
