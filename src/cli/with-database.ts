import { loadConfig } from '../config.ts';
import { createLogger } from '../observability/logger.ts';
import { createPool } from '../postgres/pool.ts';
import { readEndpoints } from './endpoints-file.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** What every command says of its database. */
export const WHICH_DATABASE =
  '\nThe database is the one of DATABASE_URL (or POSTGRES_HOST …), else that of the instance running in this folder.';

/** For work that reads a lot and holds nothing for long; milliseconds. */
const LIMITS = {
  connectTimeout: 5_000,
  statementTimeout: 120_000,
  lockTimeout: 2_000,
  idleInTransactionTimeout: 120_000,
};

/**
 * The database of the environment, or of the instance that runs in this folder.
 *
 * @throws ConfigError, or an Error that says how to name a database.
 */
export async function databaseUrl(env: Environment): Promise<string> {
  const config = loadConfig(env, 'tool');
  const url = config.database?.url ?? (await readEndpoints(config.local.dataDir))?.postgres;
  if (url !== undefined) return url;
  throw new Error('no database: set DATABASE_URL, or start an instance with `npx genesis start` first');
}

/**
 * Lends one connection to that database.
 *
 * @param name How it shows in pg_stat_activity.
 * @throws as databaseUrl
 */
export async function withDatabase<Result>(
  env: Environment,
  name: string,
  use: (pool: ReturnType<typeof createPool>) => Promise<Result>,
): Promise<Result> {
  const url = await databaseUrl(env);
  const { logLevel } = loadConfig(env, 'tool');
  const pool = createPool({ url, poolSize: 1 }, name, createLogger({ level: logLevel, readable: true }), LIMITS);
  try {
    return await use(pool);
  } finally {
    await pool.end();
  }
}
