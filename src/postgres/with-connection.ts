import type { Pool, PoolClient } from 'pg';
import { GenesisError } from '../errors.ts';
import { translate } from './errors.ts';

/**
 * Lends a connection of the pool to `use` until `cutAt`, by the monotonic clock, the wait for the connection included. Then the
 * connection is cut, and whatever is under way on it rejects at once: a database that stopped answering keeps nobody for ever.
 * A connection whose use failed is not used again.
 *
 * @throws GenesisError UNAVAILABLE if there was no connection in time; whatever `use` throws.
 */
export async function withConnection<Result>(
  pool: Pool,
  cutAt: number,
  use: (client: PoolClient) => Promise<Result>,
): Promise<Result> {
  const client = await connectUntil(pool, cutAt);
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
    const result = await use(client);
    release(!isIdle(client));
    return result;
  } catch (error) {
    release(true);
    throw error;
  } finally {
    clearTimeout(guard);
    client.off('error', ignore);
  }
}

async function connectUntil(pool: Pool, cutAt: number): Promise<PoolClient> {
  const connecting = pool.connect();
  const { promise: tooLate, resolve: giveUp } = Promise.withResolvers<null>();
  const timer = setTimeout(() => giveUp(null), Math.max(1, cutAt - performance.now()));
  try {
    const client = await Promise.race([connecting, tooLate]);
    if (client !== null) return client;
  } catch (error) {
    throw translate(error);
  } finally {
    clearTimeout(timer);
  }
  // Whoever waits next may have it.
  connecting.then(
    (client) => client.release(),
    () => undefined,
  );
  throw new GenesisError(
    'UNAVAILABLE',
    'No connection to the database was free in time. Nothing was written; try again.',
  );
}

/** The part of the driver's client that its type declarations do not know yet. */
interface TellsStatus {
  /** I: in no transaction; T: in one; E: in one that has failed. Null before the first answer. */
  getTransactionStatus(): 'I' | 'T' | 'E' | null;
}

/** Whether whoever has the connection next begins with nothing of this use. */
function isIdle(client: PoolClient): boolean {
  return (client as PoolClient & TellsStatus).getTransactionStatus() === 'I';
}
