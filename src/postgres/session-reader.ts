import type { SessionId } from '../genesis/ids.ts';
import type { Session } from '../genesis/session.ts';
import type { Read } from './read.ts';
import { toSession, type SessionRow } from './session-row.ts';
import { sql } from './sql.ts';

const READ_SESSION = { name: 'read-session', text: sql('sessions/read-session') };

/**
 * The current state of a session by its id, from the projection; null if there is none.
 *
 * @throws GenesisError UNAVAILABLE
 */
export async function readSession(read: Read, sessionId: SessionId): Promise<Session | null> {
  const [row] = await read<SessionRow>(READ_SESSION, [sessionId]);
  return row === undefined ? null : toSession(row);
}
