import type { Pool } from 'pg';
import type { SessionId } from '../genesis/ids.ts';
import type { Session } from '../genesis/session.ts';
import { translate } from './errors.ts';
import { toSession, type SessionRow } from './session-row.ts';
import { sql } from './sql.ts';

const READ_SESSION = sql('sessions/read-session');

/**
 * The current state of a session by its id, from the projection; null if there is none.
 *
 * @throws GenesisError UNAVAILABLE
 */
export async function readSession(pool: Pool, sessionId: SessionId): Promise<Session | null> {
  try {
    const { rows } = await pool.query<SessionRow>({ name: 'read-session', text: READ_SESSION, values: [sessionId] });
    const [row] = rows;
    return row === undefined ? null : toSession(row);
  } catch (error) {
    throw translate(error);
  }
}
