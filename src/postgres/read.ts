import type { Pool, PoolClient } from 'pg';
import { TransactionConflict } from '../commands/ports.ts';
import { GenesisError } from '../errors.ts';
import { translate } from './errors.ts';

/** A statement that only reads. Its name is the one under which the server keeps its plan. */
export interface ReadStatement {
  readonly name: string;
  readonly text: string;
}

/** Runs a statement and gives its rows. @throws GenesisError UNAVAILABLE */
export type Read = <Row extends object>(
  statement: ReadStatement,
  values: readonly unknown[],
) => Promise<readonly Row[]>;

/**
 * Reads through a pool, each statement within `timeLimit` milliseconds: a database that stopped answering must not keep a reader
 * for ever. What is late is cut off by closing its connection.
 */
export function createRead(pool: Pool, timeLimit: number): Read {
  return async <Row extends object>({ name, text }: ReadStatement, values: readonly unknown[]) => {
    try {
      return await withConnection(pool, timeLimit, async (client) => {
        const { rows } = await client.query<Row>({ name, text, values: [...values] });
        return rows;
      });
    } catch (error) {
      throw unavailable(error);
    }
  };
}

async function withConnection<Result>(
  pool: Pool,
  timeLimit: number,
  use: (client: PoolClient) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect();
  let released = false;
  const release = (broken: boolean) => {
    if (!released) client.release(broken);
    released = true;
  };
  const guard = setTimeout(() => release(true), timeLimit);
  // A connection that breaks says so here too; without a listener it would end the process.
  const ignore = () => undefined;
  client.on('error', ignore);
  try {
    const result = await use(client);
    release(false);
    return result;
  } catch (error) {
    release(true);
    throw error;
  } finally {
    clearTimeout(guard);
    client.off('error', ignore);
  }
}

/** A read that ran into a lock (of a migration, say) is no conflict that anybody could resolve: the database is not there for it. */
function unavailable(error: unknown): unknown {
  const translated = translate(error);
  if (!(translated instanceof TransactionConflict)) return translated;
  return new GenesisError('UNAVAILABLE', 'The database is busy with something else; try again.', {}, { cause: error });
}
