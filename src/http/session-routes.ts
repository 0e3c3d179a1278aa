import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Actor, Answer, CommandRequest } from '../commands/ports.ts';
import { GenesisError } from '../errors.ts';
import type { Command } from '../genesis/commands.ts';
import type { CommandId, SessionId } from '../genesis/ids.ts';
import { actorFor } from './access.ts';
import { commandTypeOf, judgeCommand, judgeCreation, type Judged } from './command-schemas.ts';
import { fingerprintOf } from './fingerprint.ts';
import { malformed } from './json-body.ts';
import { named } from './openapi/operations.ts';
import { commandPath, COMMANDS, sessionIdOf, sessionPath, SESSIONS } from './paths.ts';
import type { HttpDependencies } from './ports.ts';
import { errorOfRefusal } from './refusals.ts';
import { contextOf, principalOf } from './request-context.ts';
import { alreadyHas, idempotencyKeyOf, ifMatchOf, type IfMatch } from './request-headers.ts';
import { etagOf, sessionBody } from './session-body.ts';
import { visibleSession } from './visible-session.ts';

/** Seconds after which it is worth asking what became of a command that is PROCESSING. */
const POLL_AFTER = '2';

type SessionRequest = FastifyRequest<{ Params: { session_id: string } }>;
type Dependencies = Pick<HttpDependencies, 'commands' | 'sessions' | 'newId' | 'meter'>;

/**
 * Creating a session, reading it, sending it commands. The order of checks is the specification's: 400, 403, 404, 422, and the
 * rest (idempotency, 412, 409) in the command service, under the session's lock. Behind `authenticate`.
 */
export function registerSessionRoutes(app: FastifyInstance, dependencies: Dependencies): void {
  app.post(SESSIONS, named('createSession'), (request, reply) => createSession(dependencies, request, reply));
  app.get(`${SESSIONS}/:session_id`, named('readSession'), (request: SessionRequest, reply) =>
    readSession(dependencies, request, reply),
  );
  app.post(COMMANDS, named('sendCommand'), (request: SessionRequest, reply) =>
    sendCommand(dependencies, request, reply),
  );
}

async function createSession(dependencies: Dependencies, request: FastifyRequest, reply: FastifyReply) {
  mustHaveBody(request);
  if (ifMatchOf(request.headers) !== null)
    throw malformed('If-Match means nothing here: a new session has no version yet');
  const key = idempotencyKeyOf(request.headers);
  const actor = actorFor(principalOf(request), 'CreateSession');
  const command = commandOrThrow(judgeCreation(request.body));

  const sessionId = dependencies.newId() as SessionId;
  const envelope = { request, actor, command, sessionId, key, ifMatch: null, path: SESSIONS };
  const answer = await execute(dependencies, envelope, reply);
  if (answer.session === null) throw new Error('The answer to CreateSession carries no session');
  reply.code(201).header('location', sessionPath(answer.sessionId));
  return sendJson(reply, sessionBody(answer.session));
}

async function readSession({ sessions }: Dependencies, request: SessionRequest, reply: FastifyReply) {
  const session = await visibleSession(sessions, request, sessionIdOf(request.params));
  const etag = etagOf(session.version);
  reply.header('etag', etag).header('cache-control', 'private, no-cache');
  if (alreadyHas(request.headers, etag)) return reply.code(304).send();
  return sendJson(reply, sessionBody(session));
}

async function sendCommand(dependencies: Dependencies, request: SessionRequest, reply: FastifyReply) {
  mustHaveBody(request);
  const sessionId = sessionIdOf(request.params);
  contextOf(request).sessionId = sessionId;
  const key = idempotencyKeyOf(request.headers);
  const ifMatch = ifMatchOf(request.headers);
  const type = commandTypeOf(request.body);
  contextOf(request).commandType = type;
  const actor = actorFor(principalOf(request), type);
  const judged = judgeCommand(type, request.body);
  // Whose the session is, the command service finds out under the lock. Only a faulty command must be told it beforehand: a
  // stranger gets 404 for it too, not an explanation.
  if ('errors' in judged) await visibleSession(dependencies.sessions, request, sessionId);
  const command = commandOrThrow(judged);

  const envelope = { request, actor, command, sessionId, key, ifMatch, path: `${sessionPath(sessionId)}/commands` };
  const answer = await execute(dependencies, envelope, reply);
  return answer.status === 'COMPLETED' ? answerCompleted(reply, answer) : answerProcessing(reply, answer);
}

function answerCompleted(reply: FastifyReply, { commandId, status }: Answer) {
  return sendJson(reply.code(200), { command_id: commandId, status, message: 'Command processed successfully' });
}

function answerProcessing(reply: FastifyReply, { commandId, sessionId, status }: Answer) {
  reply.code(202).header('location', commandPath(sessionId, commandId)).header('retry-after', POLL_AFTER);
  return sendJson(reply, { command_id: commandId, status, message: 'Command accepted for processing' });
}

/** A command with all that came with it. */
interface Envelope {
  readonly request: FastifyRequest;
  readonly actor: Actor;
  readonly command: Command;
  readonly sessionId: SessionId;
  readonly key: string | null;
  readonly ifMatch: IfMatch | null;
  /** Without query, the id in lower case. */
  readonly path: string;
}

/** Sends a command in; its answer, or the error of its refusal. */
async function execute(
  { commands, newId, meter }: Dependencies,
  envelope: Envelope,
  reply: FastifyReply,
): Promise<Answer> {
  const { request, actor, command, sessionId, ifMatch } = envelope;
  const context = contextOf(request);
  const commandId = newId() as CommandId;
  context.sessionId = sessionId;
  context.commandId = commandId;
  context.place?.take();
  const outcome = await commands.execute({
    commandId,
    sessionId,
    actor,
    command,
    idempotencyKey: idempotencyOf(envelope),
    expectedVersion: ifMatch?.version ?? null,
    traceparent: context.traceparent,
    waited: context.place?.waited ?? 0,
  });
  if (outcome.kind === 'refused') throw errorOfRefusal(outcome.refusal, command.type);
  meter?.accepted(command.type, outcome.replayed);
  reply.header('etag', etagOf(outcome.answer.version));
  if (outcome.replayed) reply.header('idempotency-replayed', 'true');
  return outcome.answer;
}

/** Costs a hash, so only who sent a key pays for it. */
function idempotencyOf({ request, key, ifMatch, path }: Envelope): CommandRequest['idempotencyKey'] {
  if (key === null) return null;
  const { method, body } = request;
  return { key, fingerprint: fingerprintOf({ method, path, body, ifMatch: ifMatch?.header ?? null }) };
}

function commandOrThrow(judged: Judged): Command {
  if ('command' in judged) return judged.command;
  throw new GenesisError('INVALID_PAYLOAD', 'The body does not fit the schema of this command', {
    errors: judged.errors,
  });
}

/** Fastify calls no parser when neither a body nor its type came. */
function mustHaveBody({ body }: FastifyRequest): void {
  if (body === undefined) throw malformed('The body is empty; send a JSON object, {} at least');
}

function sendJson(reply: FastifyReply, body: object) {
  return reply
    .header('content-type', 'application/json; charset=utf-8')
    .header('x-content-type-options', 'nosniff')
    .send(JSON.stringify(body));
}
