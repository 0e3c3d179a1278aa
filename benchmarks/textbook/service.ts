import { createSecretKey } from 'node:crypto';
import Fastify, { type FastifyRequest } from 'fastify';
import { jwtVerify } from 'jose';
import pg from 'pg';
import Type, { type Static } from 'typebox';
import { v7 as uuidv7 } from 'uuid';

/*
 * The service that one would otherwise write: a request is a transaction on a connection of its own, with the outbox row beside
 * what it is about. Two of the commands, for comparison; nothing in it is slow on purpose. Its relay is relay.ts.
 */

const { DATABASE_URL: connectionString, JWT_SECRET: secret = '', KAFKA_TOPIC: topic = '' } = process.env;
const pool = new pg.Pool({ connectionString, max: 16 });
const key = createSecretKey(Buffer.from(secret));
const app = Fastify();

const CreateSession = Type.Object(
  {
    title: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
    idea: Type.Optional(Type.String({ minLength: 1, maxLength: 10_000 })),
  },
  { additionalProperties: false },
);
const SendCommand = Type.Object(
  {
    command_type: Type.Literal('SubmitFeedback'),
    payload: Type.Object(
      { feedback: Type.String({ minLength: 1, maxLength: 10_000 }) },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
);
const SessionParams = Type.Object({ session_id: Type.String({ format: 'uuid' }) });

class HttpError extends Error {
  readonly statusCode: number;

  constructor(statusCode: number, message: string) {
    super(message);
    this.statusCode = statusCode;
  }
}

async function userOf({ headers }: FastifyRequest): Promise<string> {
  const token = headers.authorization?.replace(/^Bearer /u, '') ?? '';
  try {
    const { payload } = await jwtVerify(token, key, { algorithms: ['HS256'], requiredClaims: ['sub', 'exp'] });
    return payload.sub ?? '';
  } catch {
    throw new HttpError(401, 'A valid bearer token is needed');
  }
}

async function inTransaction<Result>(work: (client: pg.PoolClient) => Promise<Result>): Promise<Result> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}

/** Locks the session and counts its version up. */
async function nextVersion(client: pg.PoolClient, sessionId: string, user: string): Promise<number> {
  const { rows } = await client.query<{ user_id: string; status: string; version: number }>({
    name: 'lock-session',
    text: 'SELECT user_id, status, version FROM sessions WHERE session_id = $1 FOR UPDATE',
    values: [sessionId],
  });
  const [session] = rows;
  if (session?.user_id !== user) throw new HttpError(404, 'There is no such session');
  if (session.status !== 'IN_PROGRESS') throw new HttpError(409, 'The session is closed');
  await client.query({
    name: 'update-session',
    text: 'UPDATE sessions SET version = version + 1, updated_at = now() WHERE session_id = $1',
    values: [sessionId],
  });
  return session.version + 1;
}

interface Accepted {
  readonly sessionId: string;
  readonly version: number;
  readonly user: string;
  readonly command: { readonly command_type: string; readonly payload: object };
  readonly eventType: string;
}

/** The command, its event and its message; gives the command's id. */
async function record(client: pg.PoolClient, accepted: Accepted): Promise<string> {
  const { sessionId, version, user, command, eventType } = accepted;
  const [commandId, eventId] = [uuidv7(), uuidv7()];
  const metadata = { user_id: user, source_service: 'textbook' };
  const event = { event_id: eventId, event_type: eventType, aggregate_id: sessionId, aggregate_version: version };
  const occurred = { occurred_at: new Date().toISOString(), payload: command.payload, metadata };
  await client.query({
    name: 'insert-command',
    text: `INSERT INTO command_inbox (id, session_id, user_id, command_type, payload, status) VALUES ($1, $2, $3, $4, $5, 'COMPLETED')`,
    values: [commandId, sessionId, user, command.command_type, command.payload],
  });
  await client.query({
    name: 'insert-event',
    text: `INSERT INTO domain_events (event_id, aggregate_id, aggregate_version, event_type, payload, metadata, correlation_id)
           VALUES ($1, $2, $3, $4, $5, $6, $7)`,
    values: [eventId, sessionId, version, eventType, command.payload, metadata, commandId],
  });
  await client.query({
    name: 'insert-message',
    text: 'INSERT INTO event_outbox (event_id, topic, key, payload, headers) VALUES ($1, $2, $3, $4, $5)',
    values: [eventId, topic, sessionId, { ...event, correlation_id: commandId, ...occurred }, { ce_type: eventType }],
  });
  return commandId;
}

async function createSession(request: FastifyRequest<{ Body: Static<typeof CreateSession> }>) {
  const user = await userOf(request);
  const { title = null, idea = null } = request.body;
  const sessionId = uuidv7();
  await inTransaction(async (client) => {
    const values = [sessionId, user, title, idea];
    await client.query(
      'INSERT INTO sessions (session_id, user_id, version, title, idea) VALUES ($1, $2, 1, $3, $4)',
      values,
    );
    const command = { command_type: 'CreateSession', payload: request.body };
    await record(client, { sessionId, version: 1, user, command, eventType: 'Genesis.Session.Created' });
  });
  return { session_id: sessionId, status: 'IN_PROGRESS', version: 1, title, idea };
}

type SendRequest = FastifyRequest<{ Params: Static<typeof SessionParams>; Body: Static<typeof SendCommand> }>;

async function sendCommand(request: SendRequest) {
  const user = await userOf(request);
  const { session_id: sessionId } = request.params;
  const commandId = await inTransaction(async (client) => {
    const version = await nextVersion(client, sessionId, user);
    return record(client, { sessionId, version, user, command: request.body, eventType: 'Genesis.Session.Submitted' });
  });
  return { command_id: commandId, status: 'COMPLETED', message: 'Command processed successfully' };
}

const SESSIONS = '/api/v1/genesis/sessions';
app.post(SESSIONS, { schema: { body: CreateSession } }, (request: Parameters<typeof createSession>[0], reply) => {
  reply.code(201);
  return createSession(request);
});
app.post(
  `${SESSIONS}/:session_id/commands`,
  { schema: { params: SessionParams, body: SendCommand } },
  (request: SendRequest) => sendCommand(request),
);

process.once('SIGTERM', () => void app.close().then(() => pool.end()));
console.log(await app.listen({ host: '127.0.0.1', port: 0 }));
