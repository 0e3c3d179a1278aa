import { errorCode } from './errors.ts';
import type { Read } from './read.ts';

/** What every replica must agree on: it stands in the database, not in anybody's environment. */
export interface DatabaseSettings {
  /** Number of shards: the partitions of the topic. */
  readonly shards: number;
}

const READ_SETTINGS = { name: 'read-settings', text: 'SELECT shards FROM genesis_settings' };

const UNDEFINED_TABLE = '42P01';

/**
 * @throws GenesisError UNAVAILABLE
 * @throws Error if the database was never migrated
 */
export async function readSettings(read: Read): Promise<DatabaseSettings> {
  try {
    const [row] = await read<DatabaseSettings>(READ_SETTINGS, []);
    if (row === undefined)
      throw new Error('genesis_settings has no row: restore the one that the first migration wrote');
    return row;
  } catch (error) {
    if (errorCode(error) === UNDEFINED_TABLE) {
      throw new Error('the database has no Genesis tables: run `npx genesis migrate` first', { cause: error });
    }
    throw error;
  }
}
