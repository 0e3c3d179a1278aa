import { randomBytes, randomUUID } from 'node:crypto';
import { Consumer, stringDeserializers } from '@platformatic/kafka';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { createDevelopmentToken } from '../../../src/http/development-token.ts';
import { launch, type Instance } from '../../e2e/instance.ts';
import { Program } from '../../examples/agent-rig.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { startReceiver, type Receiver, type Span } from './receiver.ts';

const SECRET = 'only for tests: thirty-two bytes and more';
const SESSIONS = '/api/v1/genesis/sessions';
const EXPORT_SECRET = 'key-of-the-collector';
const REQUEST_CONCEPTS = {
  command_type: 'RequestConceptGeneration',
  payload: { theme_preferences: ['科幻'], style_preferences: ['快节奏'] },
};
const INTERNAL = 1;
const SERVER = 2;
const CLIENT = 3;
const PRODUCER = 4;
const CONSUMER = 5;

const hex = (bytes: number) => randomBytes(bytes).toString('hex');

// The API, the relay and the agent, each a process of its own.
describe('a trace', { timeout: 120_000 }, () => {
  const topic = `traces-${randomUUID()}`;
  let database: TestDatabase;
  let receiver: Receiver;
  let api: Instance;
  let relay: Instance;
  let agent: Program;
  let address: string;
  let token: string;
  let agentToken: string;

  beforeAll(async () => {
    [database, receiver] = await Promise.all([createTestDatabase(), startReceiver()]);
    const tracing = {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint,
      OTEL_EXPORTER_OTLP_HEADERS: `x-api-key=${EXPORT_SECRET}`,
    };
    const env = {
      DATABASE_URL: database.url,
      KAFKA_BROKERS: inject('brokers').join(','),
      KAFKA_TOPIC: topic,
      KAFKA_REPLICATION: '1',
      JWT_SECRET: SECRET,
      PORT: '0',
      LOG_LEVEL: 'DEBUG',
      ...tracing,
    };
    token = await createDevelopmentToken({ secret: SECRET, user: 'ada', roles: [], expiresIn: 3_600 });
    agentToken = await createDevelopmentToken({ secret: SECRET, user: 'bot', roles: ['agent'], expiresIn: 3_600 });
    relay = launch('relay', env);
    api = launch('api', env);
    await Promise.all([relay.says(/"msg":"ready"/u), api.says(/"msg":"ready"/u)]);
    address = /"api":"(http:[^"]+)"/u.exec(api.output())?.[1] ?? '';
    agent = new Program(['examples/concept-agent/main.ts'], {
      GENESIS_API: address,
      KAFKA_BROKERS: env.KAFKA_BROKERS,
      KAFKA_TOPIC: topic,
      AGENT_GROUP: `group-${randomUUID()}`,
      AGENT_TOKEN: agentToken,
      AGENT_DELAY: '0',
      LOG_LEVEL: 'debug',
      ...tracing,
    });
    await agent.said('reading');
  });
  afterAll(async () => {
    await agent.stop();
    await Promise.all([api.stop('SIGTERM'), relay.stop('SIGTERM')]);
    await receiver.stop();
    await database.drop();
  });

  async function post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}) {
    const response = await fetch(`${address}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: (await response.json()) as Readonly<Record<string, unknown>> };
  }

  async function createSession(headers: Readonly<Record<string, string>> = {}): Promise<string> {
    return String((await post(SESSIONS, { title: '三体之外' }, headers)).body['session_id']);
  }

  /** The records of a session, once there are as many. */
  async function recordsOf(sessionId: string, count: number) {
    const consumer = new Consumer({
      clientId: 'test',
      bootstrapBrokers: inject('brokers'),
      groupId: `reader-${randomUUID()}`,
      deserializers: stringDeserializers,
    });
    try {
      const stream = await consumer.consume({ topics: [topic], mode: 'earliest', autocommit: false });
      const records = [];
      for await (const record of stream) {
        if (record.key === sessionId) records.push(record);
        if (records.length === count) break;
      }
      return records;
    } finally {
      await consumer.close(true);
    }
  }

  const inTrace = (spans: readonly Span[], traceId: string) => spans.filter((span) => span.traceId === traceId);
  const one = (spans: readonly Span[], what: Partial<Span> & { readonly name: string }): Span => {
    const found = spans.filter((span) =>
      Object.entries(what).every(([key, value]) => span[key as keyof Span] === value),
    );
    expect(found, `${JSON.stringify(what)} in ${JSON.stringify(spans.map(({ name }) => name))}`).toHaveLength(1);
    return found[0] as Span;
  };

  it('spans the request, the batch, the record, the agent, and the agent’s command with its record', async () => {
    const sessionId = await createSession();
    const traceId = hex(16);
    const callerSpan = hex(8);
    const answer = await post(`${SESSIONS}/${sessionId}/commands`, REQUEST_CONCEPTS, {
      traceparent: `00-${traceId}-${callerSpan}-01`,
    });
    expect(answer.status).toBe(202);
    const commandId = String(answer.body['command_id']);

    const route = `POST ${SESSIONS}/:session_id/commands`;
    const tree = await receiver.has((spans) => {
      const all = inTrace(spans, traceId);
      const request = one(all, { name: route, parentSpanId: callerSpan });
      const command = one(all, { name: 'command RequestConceptGeneration', parentSpanId: request.spanId });
      const queue = one(all, { name: 'command queue', parentSpanId: command.spanId });
      const transaction = one(all, { name: 'command transaction', parentSpanId: command.spanId });
      const sent = one(all, { name: `send ${topic}`, parentSpanId: request.spanId });
      const processed = one(all, { name: `process ${topic}`, parentSpanId: request.spanId });
      const asked = one(all, { name: 'GET session', parentSpanId: processed.spanId });
      const answered = one(all, { name: 'POST command', parentSpanId: processed.spanId });
      const read = one(all, { name: `GET ${SESSIONS}/:session_id`, parentSpanId: asked.spanId });
      const answerRequest = one(all, { name: route, parentSpanId: answered.spanId });
      const proposal = one(all, { name: 'command ProposeConcepts', parentSpanId: answerRequest.spanId });
      const sentAnswer = one(all, { name: `send ${topic}`, parentSpanId: answerRequest.spanId });
      const batch = one(spans, { name: 'command batch', spanId: transaction.links[0]?.spanId ?? '' });
      const produce = one(spans, { name: `produce ${topic}`, spanId: sent.links[0]?.spanId ?? '' });
      return {
        ...{ request, command, queue, transaction, sent, processed, asked, answered, read, answerRequest, proposal },
        ...{ sentAnswer, batch, produce },
      };
    });
    expect(
      Object.fromEntries(Object.entries(tree).map(([name, { kind, service }]) => [name, [kind, service]])),
    ).toEqual({
      request: [SERVER, 'genesis-api'],
      command: [INTERNAL, 'genesis-api'],
      queue: [INTERNAL, 'genesis-api'],
      transaction: [INTERNAL, 'genesis-api'],
      batch: [INTERNAL, 'genesis-api'],
      produce: [CLIENT, 'genesis-relay'],
      sent: [PRODUCER, 'genesis-relay'],
      processed: [CONSUMER, 'concept-agent'],
      asked: [CLIENT, 'concept-agent'],
      answered: [CLIENT, 'concept-agent'],
      read: [SERVER, 'genesis-api'],
      answerRequest: [SERVER, 'genesis-api'],
      proposal: [INTERNAL, 'genesis-api'],
      sentAnswer: [PRODUCER, 'genesis-relay'],
    });

    const about = { 'genesis.session.id': sessionId, 'genesis.command.id': commandId };
    expect(tree.request.attributes).toMatchObject({ ...about, 'http.response.status_code': 202 });
    expect(tree.command.attributes).toMatchObject({ ...about, 'genesis.command.outcome': 'accepted' });
    expect(tree.sent.attributes).toMatchObject({
      'messaging.system': 'kafka',
      'messaging.destination.name': topic,
      'messaging.kafka.message.key': sessionId,
      'genesis.event.type': 'Genesis.Session.Requested',
    });
    expect(tree.processed.attributes['messaging.message.id']).toBe(tree.sent.attributes['messaging.message.id']);
    expect(tree.processed.attributes['messaging.kafka.offset']).toBe(tree.sent.attributes['messaging.kafka.offset']);

    // What many share is in traces of its own, and each side leads to the other.
    expect(tree.batch.traceId).not.toBe(traceId);
    expect(tree.batch.links).toContainEqual(expect.objectContaining({ traceId, spanId: tree.command.spanId }));
    const steps = receiver.spans.filter(({ parentSpanId }) => parentSpanId === tree.batch.spanId);
    expect(steps.map(({ name }) => name).toSorted()).toEqual(['lock sessions', 'read inbox', 'write and commit']);
    expect(tree.produce.links).toContainEqual(expect.objectContaining({ traceId, spanId: tree.request.spanId }));

    // The record carries what was stored with the event: the span of its request.
    const [, requested] = await recordsOf(sessionId, 2);
    const traceparent = `00-${traceId}-${tree.request.spanId}-01`;
    expect(requested?.headers.get('traceparent')).toBe(traceparent);
    expect(JSON.parse(requested?.value ?? '')).toMatchObject({ metadata: { traceparent } });

    await expectLogs(traceId, sessionId, commandId);
  });

  /** Lines about a request and about a row are found by its trace, its session, its command or event. */
  async function expectLogs(traceId: string, sessionId: string, commandId: string) {
    const linesOf = (instance: Instance) =>
      instance
        .output()
        .split('\n')
        .filter((line) => line.includes(`"trace_id":"${traceId}"`))
        .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
    await vi.waitFor(() => {
      const request = { msg: 'request', session_id: sessionId, command_id: commandId, status: 202 };
      expect(linesOf(api)).toContainEqual(expect.objectContaining(request));
      const published = { msg: 'published Genesis.Session.Requested', session_id: sessionId };
      expect(linesOf(relay)).toContainEqual(expect.objectContaining({ ...published, event_id: expect.any(String) }));
    }, 10_000);
    expect(await agent.said('answered a request')).toMatchObject({ session: sessionId, trace_id: traceId });
  }

  it('begins here when the caller has none, or one that is not valid', async () => {
    for (const header of [undefined, `00-${'0'.repeat(32)}-${hex(8)}-01`, 'nonsense']) {
      const sessionId = await createSession(header === undefined ? {} : { traceparent: header });
      const [record] = await recordsOf(sessionId, 1);
      const [, traceId = '', spanId] = String(record?.headers.get('traceparent')).split('-');
      await receiver.has((spans) => {
        const all = inTrace(spans, traceId);
        expect(one(all, { name: `POST ${SESSIONS}` })).toMatchObject({ spanId });
        expect(all.find(({ name }) => name === `POST ${SESSIONS}`)?.parentSpanId).toBeUndefined();
        one(all, { name: `send ${topic}`, parentSpanId: spanId ?? '' });
      });
    }
  });

  it('has the id that a problem names', async () => {
    const refused = await post(`${SESSIONS}/${randomUUID()}/commands`, REQUEST_CONCEPTS);
    expect(refused.status).toBe(404);
    const request = await receiver.has((spans) =>
      one(inTrace(spans, String(refused.body['trace_id'])), { name: `POST ${SESSIONS}/:session_id/commands` }),
    );
    expect(request.attributes['http.response.status_code']).toBe(404);
  });

  it('is not recorded when the caller does not record it, and its id goes along all the same', async () => {
    const traceId = hex(16);
    const sessionId = await createSession({ traceparent: `00-${traceId}-${hex(8)}-00` });
    const [record] = await recordsOf(sessionId, 1);
    expect(record?.headers.get('traceparent')).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`, 'u'));
    // One that comes later has arrived.
    const later = await createSession();
    const [next] = await recordsOf(later, 1);
    const [, laterTrace = ''] = String(next?.headers.get('traceparent')).split('-');
    await receiver.has((spans) => one(inTrace(spans, laterTrace), { name: `send ${topic}` }));
    expect(inTrace(receiver.spans, traceId)).toEqual([]);
  });

  it('tells no secret: not in spans, not in logs', () => {
    expect(receiver.headers.length).toBeGreaterThan(0);
    expect(new Set(receiver.headers.map((headers) => headers['x-api-key']))).toEqual(new Set([EXPORT_SECRET]));
    const said = [JSON.stringify(receiver.spans), api.output(), relay.output(), JSON.stringify(agent.lines)];
    for (const secret of [EXPORT_SECRET, token, agentToken, SECRET, new URL(database.url).password]) {
      for (const text of said) expect(text).not.toContain(secret);
    }
  });
});
