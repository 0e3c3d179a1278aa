import type { Read } from './read.ts';
import { requireFittingSchema } from './schema-fit.ts';

/** What every replica must agree on: it stands in the database, not in anybody's environment. */
export interface DatabaseSettings {
  /** Number of shards: the partitions of the topic. */
  readonly shards: number;
}

const READ_SETTINGS = { name: 'read-settings', text: 'SELECT shards FROM genesis_settings' };

/**
 * The first that a program asks its database, and before it anything else it makes sure that it can work with its schema.
 *
 * @throws GenesisError UNAVAILABLE
 * @throws Error if the database was never migrated, is older than this program, or has left it behind
 */
export async function readSettings(read: Read): Promise<DatabaseSettings> {
  await requireFittingSchema(read);
  const [row] = await read<DatabaseSettings>(READ_SETTINGS, []);
  if (row === undefined) throw new Error('genesis_settings has no row: restore the one that the first migration wrote');
  return row;
}
