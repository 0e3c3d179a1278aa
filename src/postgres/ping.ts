import type { Pool } from 'pg';
import { translate } from './errors.ts';

/**
 * Resolves if the database answers.
 *
 * @throws GenesisError UNAVAILABLE
 */
export async function ping(pool: Pool): Promise<void> {
  try {
    await pool.query('SELECT 1');
  } catch (error) {
    throw translate(error);
  }
}
