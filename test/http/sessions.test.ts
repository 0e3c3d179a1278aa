import { describe, expect, it } from 'vitest';
import {
  acceptance,
  call,
  COMMANDS,
  createApi,
  FEEDBACK,
  get,
  post,
  REQUEST_ID,
  SESSION_ID,
  sessionOf,
  SESSIONS,
} from './api-harness.ts';
import type { EventId } from '../../src/genesis/ids.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const TRACEPARENT = `00-${TRACE}-00f067aa0ba902b7-01`;

describe('creating a session', () => {
  it('answers 201 with the session, where it is, and its version', async () => {
    const api = createApi();
    const answer = await post(api, SESSIONS, { title: '星海', idea: 'A ship' });
    const [request] = api.requests;
    expect(answer.statusCode).toBe(201);
    expect(answer.headers).toMatchObject({
      location: `${SESSIONS}/${request?.sessionId}`,
      etag: '"1"',
      'content-type': 'application/json; charset=utf-8',
    });
    expect(answer.headers).not.toHaveProperty('idempotency-replayed');
    expect(answer.json()).toStrictEqual({
      session_id: request?.sessionId,
      status: 'IN_PROGRESS',
      current_stage: 'CONCEPT_SELECTION',
      title: 'A title',
      idea: null,
      confirmed_data: {},
      version: 1,
      outstanding_request: null,
      created_at: '2026-11-23T05:40:00.123Z',
      updated_at: '2026-11-23T05:41:00.456Z',
    });
  });

  it('hands over the command with ids of its own, the author, and nothing that was not sent', async () => {
    const api = createApi();
    await post(api, SESSIONS, { title: '星海' });
    const [request] = api.requests;
    expect(request).toMatchObject({
      actor: { userId: 'alice', role: 'author' },
      command: { type: 'CreateSession', payload: { title: '星海' } },
      idempotencyKey: null,
      expectedVersion: null,
      traceparent: null,
    });
    expect(request?.commandId).not.toBe(request?.sessionId);
  });

  it('tells a replay by the session that was created first', async () => {
    const execute = async (request: Parameters<typeof acceptance>[0]) => {
      const first = acceptance({ ...request, sessionId: SESSION_ID }, { replayed: true });
      return first;
    };
    const answer = await post(
      createApi({ commands: { execute } }),
      SESSIONS,
      {},
      { headers: { 'idempotency-key': 'k' } },
    );
    expect(answer.statusCode).toBe(201);
    expect(answer.headers).toMatchObject({ 'idempotency-replayed': 'true', location: `${SESSIONS}/${SESSION_ID}` });
  });

  it('refuses If-Match, which could mean nothing', async () => {
    const answer = await post(createApi(), SESSIONS, {}, { headers: { 'if-match': '"1"' } });
    expect(answer.statusCode).toBe(400);
  });

  it('is an INTERNAL_ERROR when the answer lacks its session', async () => {
    const execute = async (request: Parameters<typeof acceptance>[0]) => {
      const outcome = acceptance(request);
      if (outcome.kind === 'refused') return outcome;
      return { ...outcome, answer: { ...outcome.answer, session: null } };
    };
    expect((await post(createApi({ commands: { execute } }), SESSIONS, {})).statusCode).toBe(500);
  });
});

describe('reading a session', () => {
  it('answers with its state and its version as ETag, for the author alone to cache', async () => {
    const session = sessionOf({
      version: 7,
      confirmedData: { CONCEPT_SELECTION: { chosen: 2 } },
      currentStage: 'STORY_CONCEPTION',
      outstandingRequest: { requestId: REQUEST_ID, eventId: REQUEST_ID as string as EventId },
    });
    const answer = await get(createApi({ sessions: { read: async () => session } }), `${SESSIONS}/${SESSION_ID}`);
    expect(answer.statusCode).toBe(200);
    expect(answer.headers).toMatchObject({ etag: '"7"', 'cache-control': 'private, no-cache' });
    expect(answer.json()).toMatchObject({
      version: 7,
      confirmed_data: { CONCEPT_SELECTION: { chosen: 2 } },
      outstanding_request: REQUEST_ID,
    });
    expect(answer.json()).not.toHaveProperty('user_id');
  });

  it.each(['"1"', 'W/"1"', '"0", "1"', '*'])('answers 304 to whoever has it already: If-None-Match %s', async (tag) => {
    const answer = await get(createApi(), `${SESSIONS}/${SESSION_ID}`, { headers: { 'if-none-match': tag } });
    expect(answer.statusCode).toBe(304);
    expect(answer.headers).toMatchObject({ etag: '"1"' });
    expect(answer.body).toBe('');
  });

  it('answers in full to whoever has another version', async () => {
    const answer = await get(createApi(), `${SESSIONS}/${SESSION_ID}`, { headers: { 'if-none-match': '"2"' } });
    expect(answer.statusCode).toBe(200);
  });

  it.each([
    ['its author', 'alice', [], 200],
    ['an agent', 'robot', ['agent'], 200],
    ['an operator', 'ops', ['operator'], 200],
    ['a stranger', 'bob', [], 404],
    ['a stranger who says author', 'bob', ['author'], 404],
  ])('%s', async (_who, as, roles, status) => {
    const answer = await get(createApi(), `${SESSIONS}/${SESSION_ID}`, { as, roles });
    expect(answer.statusCode).toBe(status);
  });

  it('tells a stranger exactly what it tells of a session that does not exist', async () => {
    const api = createApi();
    const options = { as: 'bob', headers: { traceparent: TRACEPARENT } };
    const unknown = '01890a5d-ac96-774b-bcce-b302099a0000';
    const others = await get(api, `${SESSIONS}/${SESSION_ID}`, options);
    const none = await get(api, `${SESSIONS}/${unknown}`, options);
    expect(others.body.replace(SESSION_ID, unknown)).toBe(none.body);
  });

  it('takes ids in upper case', async () => {
    const api = createApi();
    expect((await get(api, `${SESSIONS}/${SESSION_ID.toUpperCase()}`)).statusCode).toBe(200);
    expect(api.reads).toStrictEqual([SESSION_ID]);
  });

  it('answers HEAD like GET, without the body', async () => {
    const answer = await call(createApi(), 'HEAD', `${SESSIONS}/${SESSION_ID}`);
    expect(answer.statusCode).toBe(200);
    expect(answer.headers).toMatchObject({ etag: '"1"' });
    expect(answer.body).toBe('');
  });
});

describe('sending a command', () => {
  it('answers 200 when it is done', async () => {
    const api = createApi();
    const answer = await post(api, COMMANDS, FEEDBACK);
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toStrictEqual({
      command_id: api.requests[0]?.commandId,
      status: 'COMPLETED',
      message: 'Command processed successfully',
    });
    expect(answer.headers).toMatchObject({ etag: '"1"' });
    expect(answer.headers).not.toHaveProperty('location');
  });

  it('answers 202 when its result comes later, and where to ask for it', async () => {
    const api = createApi({ commands: { execute: async (request) => acceptance(request, { version: 2 }) } });
    const answer = await post(api, COMMANDS, {
      command_type: 'RequestConceptGeneration',
      payload: { theme_preferences: ['科幻', '悬疑'], style_preferences: ['快节奏', '第一人称'] },
    });
    const id = api.requests[0]?.commandId;
    expect(answer.statusCode).toBe(202);
    expect(answer.json()).toStrictEqual({
      command_id: id,
      status: 'PROCESSING',
      message: 'Command accepted for processing',
    });
    expect(answer.headers).toMatchObject({ etag: '"2"', location: `${COMMANDS}/${id}` });
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
  });

  it('marks the answer to a retry', async () => {
    const api = createApi({ commands: { execute: async (request) => acceptance(request, { replayed: true }) } });
    const answer = await post(api, COMMANDS, FEEDBACK, { headers: { 'idempotency-key': 'a' } });
    expect(answer.headers).toMatchObject({ 'idempotency-replayed': 'true' });
  });

  it('does not read the session first: that costs nothing when all is well', async () => {
    const api = createApi();
    await post(api, COMMANDS, FEEDBACK);
    expect(api.reads).toStrictEqual([]);
  });

  it('hands over ids in lower case, those in payloads too', async () => {
    const api = createApi();
    const url = COMMANDS.replace(SESSION_ID, SESSION_ID.toUpperCase());
    const request_id = REQUEST_ID.toUpperCase();
    const concepts = [{ title: 'T', summary: 'S' }];
    const agent = { as: 'robot', roles: ['agent'] };
    await post(api, url, { command_type: 'ProposeConcepts', payload: { request_id, concepts } }, agent);
    await post(api, url, { command_type: 'FailConceptGeneration', payload: { request_id, reason: 'tired' } }, agent);
    expect(api.requests.map(({ sessionId }) => sessionId)).toStrictEqual([SESSION_ID, SESSION_ID]);
    expect(api.requests.map(({ command }) => command.payload)).toStrictEqual([
      { request_id: REQUEST_ID, concepts },
      { request_id: REQUEST_ID, reason: 'tired' },
    ]);
  });

  it.each([
    ['absent', undefined, null],
    ['valid', TRACEPARENT, TRACEPARENT],
    ['of a later version', `cc-${TRACE}-00f067aa0ba902b7-03-what-comes`, TRACEPARENT],
    ['of a later version, not sampled', `01-${TRACE}-00f067aa0ba902b7-02`, `00-${TRACE}-00f067aa0ba902b7-00`],
    ['too long for its version', `${TRACEPARENT}-x`, null],
    ['of the version that is none', `ff-${TRACE}-00f067aa0ba902b7-01`, null],
    ['without a trace', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`, null],
    ['without a parent', `00-${TRACE}-${'0'.repeat(16)}-01`, null],
    ['in upper case', TRACEPARENT.toUpperCase(), null],
    ['nonsense', 'hello', null],
  ])('carries a traceparent that is %s', async (_what, traceparent, expected) => {
    const api = createApi();
    await post(api, COMMANDS, FEEDBACK, { headers: traceparent === undefined ? {} : { traceparent } });
    expect(api.requests[0]?.traceparent).toBe(expected);
  });
});

describe('who may send what', () => {
  const request_id = REQUEST_ID;
  const payloads: Record<string, object> = {
    RequestConceptGeneration: { theme_preferences: [], style_preferences: [] },
    ConfirmStage: { stage: 'CONCEPT_SELECTION', data: { a: [1, { b: null }] } },
    SubmitFeedback: { feedback: 'x', target: 'y' },
    UpdateSession: { title: 'New' },
    AbandonSession: {},
    ProposeConcepts: { request_id, concepts: [{ title: 'T', summary: 'S', themes: ['a'] }] },
    FailConceptGeneration: { request_id, reason: 'r' },
  };
  const authors = ['RequestConceptGeneration', 'ConfirmStage', 'SubmitFeedback', 'UpdateSession', 'AbandonSession'];
  const agents = ['ProposeConcepts', 'FailConceptGeneration'];
  const everything = Object.keys(payloads);

  it.each([
    { roles: [], author: authors, agent: [] },
    { roles: ['editor'], author: authors, agent: [] },
    { roles: ['author'], author: authors, agent: [] },
    { roles: ['agent'], author: [], agent: agents },
    { roles: ['operator'], author: [], agent: [] },
    { roles: ['operator', 'agent'], author: [], agent: agents },
    { roles: ['author', 'operator'], author: authors, agent: [] },
    { roles: ['author', 'agent'], author: authors, agent: agents },
  ])('roles $roles', async ({ roles, author, agent }) => {
    const api = createApi();
    const refused: string[] = [];
    for (const command_type of everything) {
      const answer = await post(api, COMMANDS, { command_type, payload: payloads[command_type] }, { roles });
      if (answer.statusCode === 403) refused.push(command_type);
      else expect(answer.statusCode).toBeLessThan(300);
    }
    const sent = (role: string) => api.requests.filter((r) => r.actor.role === role).map((r) => r.command.type);
    expect(sent('author')).toStrictEqual(author);
    expect(sent('agent')).toStrictEqual(agent);
    expect(refused).toStrictEqual(everything.filter((type) => !author.includes(type) && !agent.includes(type)));
  });

  it.each([
    [[], 201],
    [['author', 'agent'], 201],
    [['agent'], 403],
    [['operator'], 403],
  ])('POST /sessions with roles %j: %i', async (roles, status) => {
    expect((await post(createApi(), SESSIONS, {}, { roles })).statusCode).toBe(status);
  });
});

describe('Idempotency-Key and If-Match', () => {
  it.each([['a'], ['"8e03978e-40d5-43dd-bc93-6894a57f9324"'], ['~'.repeat(255)]])('takes the key %s', async (key) => {
    const api = createApi();
    await post(api, COMMANDS, FEEDBACK, { headers: { 'idempotency-key': key } });
    expect(api.requests[0]?.idempotencyKey).toMatchObject({
      key,
      fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  it.each([[''], ['a b'], ['~'.repeat(256)], ['clé'], ['a, b']])('refuses the key "%s"', async (key) => {
    const api = createApi();
    const answer = await post(api, COMMANDS, FEEDBACK, { headers: { 'idempotency-key': key } });
    expect(answer.json()).toMatchObject({ error_code: 'MALFORMED_REQUEST' });
    expect(api.requests).toStrictEqual([]);
  });

  it.each([
    ['"3"', 3],
    ['"0"', 0],
    ['"999999999999999"', 999_999_999_999_999],
    ['*', null],
  ])('If-Match %s', async (header, version) => {
    const api = createApi();
    expect((await post(api, COMMANDS, FEEDBACK, { headers: { 'if-match': header } })).statusCode).toBe(200);
    expect(api.requests[0]?.expectedVersion).toBe(version);
  });

  it.each(['', '3', 'W/"3"', '"03"', '"-1"', '"3.0"', '"3", "4"', '"abc"', '"1e3"', '"1234567890123456"', '**'])(
    'refuses If-Match %s',
    async (header) => {
      const answer = await post(createApi(), COMMANDS, FEEDBACK, { headers: { 'if-match': header } });
      expect(answer.json()).toMatchObject({ status: 400, error_code: 'MALFORMED_REQUEST' });
    },
  );

  async function fingerprint(body: unknown, url = COMMANDS, headers: Record<string, string> = {}): Promise<string> {
    const api = createApi();
    await post(api, url, body, { headers: { 'idempotency-key': 'k', ...headers } });
    const found = api.requests[0]?.idempotencyKey?.fingerprint;
    if (found === undefined) throw new Error('the request did not arrive');
    return found;
  }

  it('knows a request again however its JSON is written', async () => {
    const first = await fingerprint('{"command_type":"SubmitFeedback","payload":{"feedback":"é","target":"t"}}');
    const again = await fingerprint(
      '{ "payload": {"target":"\\u0074", "feedback":"\\u00e9"},\n "command_type":"SubmitFeedback" }',
    );
    const upper = await fingerprint(
      { command_type: 'SubmitFeedback', payload: { feedback: 'é', target: 't' } },
      `${COMMANDS.replace(SESSION_ID, SESSION_ID.toUpperCase())}?x=1`,
    );
    expect(again).toBe(first);
    expect(upper).toBe(first);
  });

  it('tells apart what differs in value, place or condition', async () => {
    const other = COMMANDS.replace(SESSION_ID, REQUEST_ID);
    const confirm = (data: unknown) => ({ command_type: 'ConfirmStage', payload: { stage: 'WORLDVIEW', data } });
    const all = await Promise.all([
      fingerprint(FEEDBACK),
      fingerprint(FEEDBACK, other),
      fingerprint(FEEDBACK, COMMANDS, { 'if-match': '"1"' }),
      fingerprint(FEEDBACK, COMMANDS, { 'if-match': '*' }),
      fingerprint(confirm({ a: [1, 2] })),
      fingerprint(confirm({ a: [2, 1] })),
      fingerprint(confirm({ a: ['1', 2] })),
      fingerprint(confirm({ a: null })),
      fingerprint(confirm({ a: {} })),
      fingerprint(confirm({ a: [] })),
      fingerprint(confirm({})),
    ]);
    expect(new Set(all).size).toBe(all.length);
  });
});
