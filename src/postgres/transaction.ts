import { setTimeout as delay } from 'node:timers/promises';
import type { Pool, PoolClient } from 'pg';
import { GenesisError } from '../errors.ts';
import { translate } from './errors.ts';

/** What a transaction's work tells about itself. */
export interface TransactionWork<Result> {
  readonly result: Result;
  /** The transaction's id if it wrote anything; null if it only read. */
  readonly xid: string | null;
}

/** Milliseconds between two looks at a transaction whose COMMIT was not answered. */
const LOOKUP_INTERVAL = 25;
/** Share of the time limit that is kept for finding out what became of an unanswered COMMIT. */
const LOOKUP_SHARE = 0.3;

/**
 * Runs `work` between BEGIN and COMMIT on one connection of the pool.
 *
 * If COMMIT's answer is lost, the transaction's id is looked up on a new connection until the time is over: the outcome is
 * learnt wherever it can be. If `work` takes too long the connection is cut, and the server rolls back.
 *
 * @param timeLimit Milliseconds for all of it.
 * @throws GenesisError UNAVAILABLE if it certainly wrote nothing, OUTCOME_UNKNOWN if that could not be learnt in time.
 * @throws TransactionConflict, or whatever `work` throws.
 * @see https://www.postgresql.org/docs/18/functions-info.html#FUNCTIONS-INFO-SNAPSHOT (pg_xact_status)
 */
export async function runTransaction<Result>(
  pool: Pool,
  work: (client: PoolClient) => Promise<TransactionWork<Result>>,
  timeLimit: number,
): Promise<Result> {
  const endsAt = performance.now() + timeLimit;
  const { result, xid, committed } = await withConnection(pool, endsAt - timeLimit * LOOKUP_SHARE, async (client) => {
    const done = await attempt(client, work);
    return { ...done, committed: await commit(client) };
  });
  if (!committed && xid !== null) await learnOutcome(pool, xid, endsAt);
  return result;
}

/**
 * Lends a connection to `use` until `cutAt` (monotonic): then it is cut, and whatever is under way on it rejects at once.
 * A connection whose use failed in any other way than by an answer of the server is not used again.
 */
async function withConnection<T>(pool: Pool, cutAt: number, use: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect().catch((error: unknown) => {
    throw translate(error);
  });
  let released = false;
  const release = (broken: boolean) => {
    if (!released) client.release(broken);
    released = true;
  };
  const guard = setTimeout(() => release(true), Math.max(1, cutAt - performance.now()));
  // A connection that breaks between two statements says so here; without a listener it would end the process.
  const ignore = () => undefined;
  client.on('error', ignore);
  try {
    const value = await use(client);
    release(false);
    return value;
  } catch (error) {
    release(true);
    throw error;
  } finally {
    clearTimeout(guard);
    client.off('error', ignore);
  }
}

async function attempt<Result>(
  client: PoolClient,
  work: (client: PoolClient) => Promise<TransactionWork<Result>>,
): Promise<TransactionWork<Result>> {
  try {
    await client.query('BEGIN');
    return await work(client);
  } catch (error) {
    throw translate(error);
  }
}

/** Whether COMMIT was answered, and with yes. */
async function commit(client: PoolClient): Promise<boolean> {
  try {
    const { command } = await client.query('COMMIT');
    return command === 'COMMIT';
  } catch {
    return false;
  }
}

async function learnOutcome(pool: Pool, xid: string, endsAt: number): Promise<void> {
  while (performance.now() < endsAt) {
    const status = await transactionStatus(pool, xid, endsAt);
    if (status === 'committed') return;
    if (status === 'aborted') {
      throw new GenesisError(
        'UNAVAILABLE',
        'The database rolled the transaction back. Nothing was written; try again.',
      );
    }
    await delay(LOOKUP_INTERVAL);
  }
  throw new GenesisError(
    'OUTCOME_UNKNOWN',
    'The database did not say in time whether the command was stored. Look it up, or repeat it with the same Idempotency-Key.',
  );
}

/** `committed`, `aborted`, `in progress`, or null if the database cannot tell now. */
function transactionStatus(pool: Pool, xid: string, endsAt: number): Promise<string | null> {
  const lookup = withConnection(pool, endsAt, async (client) => {
    const { rows } = await client.query<{ status: string | null }>('SELECT pg_xact_status($1::xid8) AS status', [xid]);
    return rows[0]?.status ?? null;
  });
  const tooLate = delay(Math.max(1, endsAt - performance.now()), null);
  return Promise.race([lookup.catch(() => null), tooLate]);
}
