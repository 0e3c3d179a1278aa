import type { HTTPMethods } from 'fastify';
import pino, { type Logger } from 'pino';
import { v7 } from 'uuid';
import type { CommandOutcome, CommandRequest } from '../../src/commands/ports.ts';
import type { HttpConfig } from '../../src/config.ts';
import type { CommandId, EventId, SessionId, UserId } from '../../src/genesis/ids.ts';
import type { Queries } from '../../src/events/ports.ts';
import type { Session } from '../../src/genesis/session.ts';
import { createApp } from '../../src/http/app.ts';
import { createDevelopmentToken } from '../../src/http/development-token.ts';
import type { HttpDependencies } from '../../src/http/ports.ts';
import { createTokenVerifier } from '../../src/http/tokens.ts';
import { NO_OPERATIONS } from './no-operations.ts';

export const SECRET = 'only for tests: thirty-two bytes and more';
export const SESSIONS = '/api/v1/genesis/sessions';
export const SESSION_ID = '01890a5d-ac96-774b-bcce-b302099a8057' as SessionId;
export const COMMANDS = `${SESSIONS}/${SESSION_ID}/commands`;
export const REQUEST_ID = '01890a5d-ac96-774b-bcce-b302099a8058' as CommandId;

/** On any free port, for as many requests as a test has. */
export const HTTP: HttpConfig = { host: '127.0.0.1', port: 0, requestTimeout: 1_000, rateLimitPerUser: 0 };

/** A session of alice's, as it is right after it was created. */
export function sessionOf(changes: Partial<Session> = {}): Session {
  return {
    sessionId: SESSION_ID,
    userId: 'alice' as UserId,
    status: 'IN_PROGRESS',
    currentStage: 'CONCEPT_SELECTION',
    title: 'A title',
    idea: null,
    confirmedData: {},
    version: 1,
    lastEventId: '01890a5d-ac96-774b-bcce-b302099a8059' as EventId,
    outstandingRequest: null,
    createdAt: Date.UTC(2026, 10, 23, 5, 40, 0, 123),
    updatedAt: Date.UTC(2026, 10, 23, 5, 41, 0, 456),
    ...changes,
  };
}

export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [member: string]: unknown;
}

/** A logger at debug whose lines can be read. */
export function readableLogger(): { logger: Logger; lines: LogLine[]; text: () => string } {
  const lines: LogLine[] = [];
  const logger = pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line) as LogLine) });
  return { logger, lines, text: () => JSON.stringify(lines) };
}

/** What a command service answers that accepts everything. */
export function acceptance(
  request: CommandRequest,
  changes: { replayed?: boolean; version?: number } = {},
): CommandOutcome {
  const { commandId, sessionId, command, actor } = request;
  const session = command.type === 'CreateSession' ? sessionOf({ sessionId, userId: actor.userId }) : null;
  const status = command.type === 'RequestConceptGeneration' ? 'PROCESSING' : 'COMPLETED';
  const answer = { commandId, sessionId, status, version: changes.version ?? 1, session } as const;
  return { kind: 'accepted', replayed: changes.replayed ?? false, answer };
}

/** A database that holds nothing to list. */
export const EMPTY: Queries = {
  listSessions: async () => [],
  listCommands: async () => [],
  readCommand: async () => null,
  readHistory: async () => ({ events: [], more: false }),
};

export type Api = ReturnType<typeof createApi>;

/** The API over a command service that records what reaches it; alice owns the only session. */
export function createApi(changes: Partial<HttpDependencies> = {}) {
  const requests: CommandRequest[] = [];
  const reads: SessionId[] = [];
  const log = readableLogger();
  const dependencies: HttpDependencies = {
    config: HTTP,
    tokens: createTokenVerifier({
      keys: { kind: 'secret', secret: SECRET },
      rolesClaim: 'roles',
      clockTolerance: 0,
    }),
    commands: { execute: async (request) => acceptance(request) },
    sessions: { read: async (id) => (id === SESSION_ID ? sessionOf() : null) },
    queries: EMPTY,
    operations: NO_OPERATIONS,
    feed: { follow: () => ({ resume: () => undefined, close: () => undefined }) },
    readiness: async () => [],
    logger: log.logger,
    newId: v7,
    ...changes,
  };
  const recording: HttpDependencies = {
    ...dependencies,
    commands: {
      execute: (request) => {
        requests.push(request);
        return dependencies.commands.execute(request);
      },
    },
    sessions: {
      read: (id) => {
        reads.push(id);
        return dependencies.sessions.read(id);
      },
    },
  };
  const { fastify } = createApp(recording);
  return { fastify, dependencies: recording, requests, reads, log };
}

export function tokenOf(user: string, roles: readonly string[] = []): Promise<string> {
  return createDevelopmentToken({ secret: SECRET, user, roles, expiresIn: 600 });
}

export interface CallOptions {
  readonly as?: string;
  readonly roles?: readonly string[];
  readonly headers?: Record<string, string>;
}

/** Calls the API with a token of alice's unless told otherwise. A string or bytes go out as they are, labelled JSON. */
export async function call(api: Api, method: HTTPMethods, url: string, body?: unknown, options: CallOptions = {}) {
  const token = await tokenOf(options.as ?? 'alice', options.roles);
  const raw = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  return api.fastify.inject({
    method,
    url,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(raw === undefined ? {} : { payload: raw }),
  });
}

export const post = (api: Api, url: string, body?: unknown, options?: CallOptions) =>
  call(api, 'POST', url, body, options);
export const get = (api: Api, url: string, options?: CallOptions) => call(api, 'GET', url, undefined, options);

/** A command that any author may send. */
export const FEEDBACK = { command_type: 'SubmitFeedback', payload: { feedback: 'Darker, please' } };
