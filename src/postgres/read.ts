import type { Pool } from 'pg';
import { TransactionConflict } from '../commands/ports.ts';
import { GenesisError } from '../errors.ts';
import { translate } from './errors.ts';
import { withConnection } from './with-connection.ts';

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
 * Reads through a pool, each statement within `timeLimit` milliseconds, the wait for a connection included: a database that stopped answering must not keep a reader
 * for ever. What is late is cut off by closing its connection.
 */
export function createRead(pool: Pool, timeLimit: number): Read {
  return async <Row extends object>({ name, text }: ReadStatement, values: readonly unknown[]) => {
    try {
      return await withConnection(pool, performance.now() + timeLimit, async (client) => {
        const { rows } = await client.query<Row>({ name, text, values: [...values] });
        return rows;
      });
    } catch (error) {
      throw unavailable(error);
    }
  };
}

/** A read that ran into a lock (of a migration, say) is no conflict that anybody could resolve: the database is not there for it. */
function unavailable(error: unknown): unknown {
  const translated = translate(error);
  if (!(translated instanceof TransactionConflict)) return translated;
  return new GenesisError('UNAVAILABLE', 'The database is busy with something else; try again.', {}, { cause: error });
}
