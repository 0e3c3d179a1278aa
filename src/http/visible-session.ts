import type { FastifyRequest } from 'fastify';
import type { SessionId } from '../genesis/ids.ts';
import type { Session } from '../genesis/session.ts';
import { maySee } from './access.ts';
import type { SessionReader } from './ports.ts';
import { sessionNotFound } from './refusals.ts';
import { contextOf, principalOf } from './request-context.ts';

/** @throws GenesisError SESSION_NOT_FOUND, for somebody else's session too */
export async function visibleSession(
  sessions: SessionReader,
  request: FastifyRequest,
  sessionId: SessionId,
): Promise<Session> {
  contextOf(request).sessionId = sessionId;
  const session = await sessions.read(sessionId);
  if (session === null || !maySee(principalOf(request), session)) throw sessionNotFound();
  return session;
}
