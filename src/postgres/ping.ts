import type { Read } from './read.ts';

const PING = { name: 'ping', text: 'SELECT 1' };

/**
 * Resolves if the database answers.
 *
 * @throws GenesisError UNAVAILABLE
 */
export async function ping(read: Read): Promise<void> {
  await read(PING, []);
}
