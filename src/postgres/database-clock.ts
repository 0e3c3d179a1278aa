import type { Read } from './read.ts';

const CLOCK = {
  name: 'database-clock',
  text: 'SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS milliseconds',
};

/**
 * What time it is by the database's clock, in milliseconds since the epoch.
 *
 * @throws GenesisError UNAVAILABLE
 */
export async function readClock(read: Read): Promise<number> {
  const [row] = await read<{ milliseconds: number }>(CLOCK, []);
  if (row === undefined) throw new Error('a look at the clock gives one row');
  return row.milliseconds;
}
