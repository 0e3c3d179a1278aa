import { setTimeout as delay } from 'node:timers/promises';
import pg, { type Pool, type PoolClient, type QueryConfig } from 'pg';
import { GenesisError } from '../errors.ts';
import { translate } from './errors.ts';
import { withConnection } from './with-connection.ts';

/** What a transaction's work tells about itself. */
export interface TransactionWork<Result> {
  readonly result: Result;
  /** Null if it only read. */
  readonly written: Written | null;
  /** True: it has committed by itself. False: it tried, and the answer was lost. Undefined: COMMIT is still to come. */
  readonly committed?: boolean | undefined;
}

/** By what a transaction that wrote is found again. */
export interface Written {
  /** The transaction's id. */
  readonly xid: string;
  /** A query that gives a row if, and only if, the transaction was committed. */
  readonly witness: QueryConfig;
}

/** Milliseconds between two looks at a transaction whose COMMIT was not answered. */
const LOOKUP_INTERVAL = 25;
/** Share of the time limit that is kept for finding out what became of an unanswered COMMIT. */
const LOOKUP_SHARE = 0.3;
/** Share of the time left that one look may take, and the least that it gets, in milliseconds. */
const LOOK_SHARE = 0.4;
const SHORTEST_LOOK = 50;

/** Runs `work` between BEGIN and COMMIT on one connection of the pool; else as runBegunTransaction. */
export function runTransaction<Result>(
  pool: Pool,
  work: (client: PoolClient) => Promise<TransactionWork<Result>>,
  timeLimit: number,
): Promise<Result> {
  const begun = async (client: PoolClient): Promise<TransactionWork<Result>> => {
    await client.query('BEGIN');
    return work(client);
  };
  return runBegunTransaction(pool, begun, timeLimit);
}

/**
 * Runs `work`, whose first statement is BEGIN, and then COMMIT, unless `work` has sent that, too, on one connection of the pool.
 *
 * If COMMIT's answer is lost, the transaction is looked up on a new connection until the time is over: by its id, and by what it
 * wrote. The outcome is learnt wherever it can be. If `work` takes too long the connection is cut, and the server rolls back,
 * unless COMMIT is already on its way: then it is looked up, too.
 *
 * @param timeLimit Milliseconds for all of it.
 * @throws GenesisError UNAVAILABLE if it certainly wrote nothing, OUTCOME_UNKNOWN if that could not be learnt in time.
 * @throws TransactionConflict, or whatever `work` throws.
 * @see https://www.postgresql.org/docs/18/functions-info.html#FUNCTIONS-INFO-SNAPSHOT (pg_xact_status)
 */
export async function runBegunTransaction<Result>(
  pool: Pool,
  work: (client: PoolClient) => Promise<TransactionWork<Result>>,
  timeLimit: number,
): Promise<Result> {
  const endsAt = performance.now() + timeLimit;
  const { result, written, committed } = await withConnection(
    pool,
    endsAt - timeLimit * LOOKUP_SHARE,
    async (client) => {
      const done = await attempt(client, work);
      return { ...done, committed: done.committed ?? (await commit(client)) };
    },
  );
  if (!committed && written !== null) await learnOutcome(pool, written, endsAt);
  return result;
}

async function attempt<Result>(
  client: PoolClient,
  work: (client: PoolClient) => Promise<TransactionWork<Result>>,
): Promise<TransactionWork<Result>> {
  try {
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

async function learnOutcome(pool: Pool, written: Written, endsAt: number): Promise<void> {
  while (performance.now() < endsAt) {
    const outcome = await lookUp(pool, written, endsAt).catch(() => 'unknown' as const);
    if (outcome === 'committed') return;
    if (outcome === 'lost') {
      throw new GenesisError(
        'UNAVAILABLE',
        'The database did not keep the transaction. Nothing was written; try again.',
      );
    }
    await delay(LOOKUP_INTERVAL);
  }
  throw new GenesisError(
    'OUTCOME_UNKNOWN',
    'The database did not say in time whether the command was stored. Look it up, or repeat it with the same Idempotency-Key.',
  );
}

/**
 * Asks on a connection of its own: those of the pool may be as dead as the one that lost the answer. Each look has only a part
 * of the time that is left, so that one dead link does not use it up.
 */
async function lookUp(
  pool: Pool,
  { xid, witness }: Written,
  endsAt: number,
): Promise<'committed' | 'lost' | 'unknown'> {
  const limit = Math.max(SHORTEST_LOOK, (endsAt - performance.now()) * LOOK_SHARE);
  const client = new pg.Client({ ...pool.options, connectionTimeoutMillis: limit });
  client.on('error', () => undefined);
  const guard = setTimeout(() => void client.end(), limit);
  try {
    await client.connect();
    const { rows } = await client.query<{ status: string | null }>('SELECT pg_xact_status($1::xid8) AS status', [xid]);
    const status = rows[0]?.status;
    if (status === 'aborted') return 'lost';
    if (status !== 'committed') return 'unknown';
    // After a crash the server hands out again what it had not yet flushed: the id may be a stranger's by now.
    return (await client.query(witness)).rowCount === 0 ? 'lost' : 'committed';
  } finally {
    clearTimeout(guard);
    void client.end();
  }
}
