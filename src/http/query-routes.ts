import type { FastifyInstance } from 'fastify';
import type { Static } from 'typebox';
import { GenesisError } from '../errors.ts';
import type { Queries } from '../events/ports.ts';
import type { CommandId, SessionId } from '../genesis/ids.ts';
import { seesAll } from './access.ts';
import { commandBody } from './command-body.ts';
import { decodeCursor } from './cursor.ts';
import { nextCursor, pageOf } from './list-page.ts';
import { named } from './openapi/operations.ts';
import { commandIdOf, sessionIdOf, SESSIONS } from './paths.ts';
import type { HttpDependencies } from './ports.ts';
import { registerReads, type ReadScope } from './read-scope.ts';
import { contextOf, principalOf } from './request-context.ts';
import {
  CommandListQuery,
  CommandListSchema,
  CommandParams,
  CommandSchema,
  NoQuery,
  PAGE,
  SessionListQuery,
  SessionListSchema,
  SessionParams,
} from './schemas.ts';
import { sessionBody } from './session-body.ts';
import type { Principal } from './tokens.ts';
import { visibleSession } from './visible-session.ts';

type Dependencies = Pick<HttpDependencies, 'queries' | 'sessions'>;

/**
 * Lists of sessions and of commands, and one command: where it is. The order of checks is the specification's: 400 for whatever
 * is wrong with the URL, then 404. Behind `authenticate`.
 */
export function registerQueryRoutes(app: FastifyInstance, dependencies: Dependencies): void {
  registerReads(app, (reads) => {
    listSessions(reads, dependencies);
    listCommands(reads, dependencies);
    readCommand(reads, dependencies);
  });
}

function listSessions(reads: ReadScope, { queries }: Dependencies): void {
  const schema = {
    ...named('listSessions').schema,
    querystring: SessionListQuery,
    response: { 200: SessionListSchema },
  };
  reads.get(SESSIONS, { schema }, (request) => sessionPage(queries, principalOf(request), request.query));
}

/** An author's own sessions; everybody's for agents and operators. */
async function sessionPage(queries: Queries, principal: Principal, query: Static<typeof SessionListQuery>) {
  const { limit = PAGE.default, cursor, status = null, current_stage: currentStage = null } = query;
  const before = cursor === undefined ? null : (decodeCursor('sessions', cursor) as SessionId);
  const userId = seesAll(principal) ? null : principal.userId;
  const found = await queries.listSessions({ userId, status, currentStage, before, limit: limit + 1 });
  const { rows, more } = pageOf(found, limit);
  return { items: rows.map(sessionBody), next_cursor: nextCursor('sessions', rows.at(-1)?.sessionId, more) };
}

function listCommands(reads: ReadScope, { queries, sessions }: Dependencies): void {
  const schema = {
    ...named('listCommands').schema,
    params: SessionParams,
    querystring: CommandListQuery,
    response: { 200: CommandListSchema },
  };
  reads.get(`${SESSIONS}/:session_id/commands`, { schema }, async (request) => {
    const sessionId = sessionIdOf(request.params);
    const { limit = PAGE.default, cursor, status = null, command_type: commandType = null } = request.query;
    const before = cursor === undefined ? null : (decodeCursor('commands', cursor) as CommandId);
    await visibleSession(sessions, request, sessionId);
    const found = await queries.listCommands({ sessionId, status, commandType, before, limit: limit + 1 });
    const { rows, more } = pageOf(found, limit);
    return { items: rows.map(commandBody), next_cursor: nextCursor('commands', rows.at(-1)?.commandId, more) };
  });
}

function readCommand(reads: ReadScope, { queries, sessions }: Dependencies): void {
  const schema = {
    ...named('readCommand').schema,
    params: CommandParams,
    querystring: NoQuery,
    response: { 200: CommandSchema },
  };
  reads.get(`${SESSIONS}/:session_id/commands/:command_id`, { schema }, async (request) => {
    const [sessionId, commandId] = [sessionIdOf(request.params), commandIdOf(request.params)];
    contextOf(request).commandId = commandId;
    await visibleSession(sessions, request, sessionId);
    const command = await queries.readCommand(sessionId, commandId);
    if (command === null) throw new GenesisError('NOT_FOUND', 'The session has no such command');
    return commandBody(command);
  });
}
