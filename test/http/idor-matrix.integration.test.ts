import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { FEEDBACK, SESSIONS, tokenOf } from './api-harness.ts';
import { KEY, MATRIX, WHO, type Arrangement, type Row, type Target, type Who } from './idor-matrix.ts';
import { startReplica, type Replica } from './replica.ts';
import { routesOf } from './routes-of.ts';

let database: TestDatabase;
let replica: Replica;
let pool: pg.Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  replica = await startReplica(database.url);
  pool = new pg.Pool({ connectionString: database.url, max: 1 });
});
afterAll(async () => {
  await pool.end();
  await replica.stop();
  await database.drop();
});

interface Caller {
  readonly as: string;
  readonly roles?: readonly string[];
}
interface Call {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}
interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The JSON; null for a stream, which is closed once it has begun, and for no body. */
  readonly body: Readonly<Record<string, unknown>> | null;
}

async function send(
  who: Caller | null,
  method: string,
  path: string,
  { body, headers = {} }: Call = {},
): Promise<Answer> {
  const authorization: Record<string, string> =
    who === null ? {} : { authorization: `Bearer ${await tokenOf(who.as, who.roles)}` };
  const init: RequestInit =
    body === undefined
      ? { headers: { ...authorization, ...headers } }
      : {
          headers: { ...authorization, 'content-type': 'application/json', ...headers },
          body: JSON.stringify(body),
        };
  const answer = await fetch(replica.address + path, { method, ...init });
  return { status: answer.status, headers: answer.headers, body: await bodyOf(answer) };
}

async function bodyOf(answer: Response): Promise<Answer['body']> {
  if (answer.headers.get('content-type')?.startsWith('text/event-stream') === true) {
    await answer.body?.cancel();
    return null;
  }
  const text = await answer.text();
  return text === '' ? null : (JSON.parse(text) as Readonly<Record<string, unknown>>);
}

const { owner: ALICE, stranger: BOB, agent: ROBOT, operator: OPS } = WHO;
const get = (who: Caller, path: string) => send(who, 'GET', path);
const post = (who: Caller, path: string, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
  send(who, 'POST', path, { body, headers });
const command = (who: Caller, sessionId: string, type: string, payload: object) =>
  post(who, `${SESSIONS}/${sessionId}/commands`, { command_type: type, payload });
const idsIn = ({ body }: Answer, member: string) =>
  (body as { readonly items: readonly Readonly<Record<string, unknown>>[] }).items.map((item) => item[member]);

async function newSession(who: Caller = ALICE): Promise<string> {
  const { status, body } = await post(who, SESSIONS, {});
  expect(status).toBe(201);
  return String(body?.['session_id']);
}

async function ask(who: Caller, sessionId: string): Promise<string> {
  const payload = { theme_preferences: [], style_preferences: [] };
  const { status, body } = await command(who, sessionId, 'RequestConceptGeneration', payload);
  expect(status).toBe(202);
  return String(body?.['command_id']);
}

/** A session of alice's, in the state that a row wants. */
async function arrange(arrangement: Arrangement): Promise<Target> {
  const sessionId = await newSession();
  const path = `${SESSIONS}/${sessionId}/commands`;
  if (arrangement === 'closed') await command(ALICE, sessionId, 'AbandonSession', {});
  if (arrangement === 'bound') await post(ALICE, path, FEEDBACK, { 'idempotency-key': KEY });
  if (arrangement === 'asked') return { sessionId, commandId: await ask(ALICE, sessionId) };
  return { sessionId, commandId: String(idsIn(await get(ALICE, path), 'command_id').at(-1)) };
}

function tryRow({ route, headers, body }: Row, who: Who, { sessionId, commandId }: Target, method?: string) {
  const [verb = '', pattern = ''] = route.split(' ');
  const path = pattern.replace(':session_id', sessionId).replace(':command_id', commandId);
  return send(WHO[who], method ?? verb, path, {
    ...(headers === undefined ? {} : { headers }),
    ...(body === undefined ? {} : { body: body({ sessionId, commandId }) }),
  });
}

/** Everything that is stored of a session. */
async function rowsOf(sessionId: string): Promise<unknown> {
  const { rows } = await pool.query(
    `SELECT (SELECT json_agg(i ORDER BY i.id) FROM command_inbox i WHERE i.session_id = $1) AS inbox,
            (SELECT json_agg(e ORDER BY e.aggregate_version) FROM domain_events e WHERE e.aggregate_id = $1) AS events,
            (SELECT json_agg(s) FROM genesis_sessions s WHERE s.session_id = $1) AS sessions`,
    [sessionId],
  );
  return rows[0];
}

/** An answer without what differs from request to request. */
function comparable({ status, headers, body }: Answer, { sessionId, commandId }: Target): unknown {
  const kept = [...headers].filter(([name]) => name !== 'date');
  const text = JSON.stringify({ ...body, trace_id: null })
    .replaceAll(sessionId, 'S')
    .replaceAll(commandId, 'C');
  return { status, headers: kept, text };
}

const everyone = Object.keys(WHO) as Who[];
const cases = MATRIX.flatMap((row) => everyone.map((who) => ({ row, who, what: row.what, status: row.answers[who] })));

describe('who may what with a session of alice’s', () => {
  test.each(cases)('$who, to $what: $status', async ({ row, who, status }) => {
    const target = await arrange(row.on);
    const before = await rowsOf(target.sessionId);
    const answer = await tryRow(row, who, target);
    expect(answer.status).toBe(status);
    if (status >= 400) expect(await rowsOf(target.sessionId)).toStrictEqual(before);
    if (row.route.startsWith('GET')) expect((await tryRow(row, who, target, 'HEAD')).status).toBe(status);
  });

  const aboutOne = MATRIX.filter(({ route }) => route.includes(':session_id'));
  const hidden = aboutOne.flatMap((row) => everyone.map((who) => ({ row, who, what: row.what })));
  test.each(hidden.filter(({ row, who }) => row.answers[who] === 404))(
    '$who, to $what, is told what is told of a session that never was',
    async ({ row, who }) => {
      const [target, nothing] = [await arrange(row.on), { sessionId: uuidv7(), commandId: uuidv7() }];
      const [real, unreal] = [await tryRow(row, who, target), await tryRow(row, who, nothing)];
      expect(comparable(real, target)).toStrictEqual(comparable(unreal, nothing));
      expect(real.body).toMatchObject({ error_code: 'SESSION_NOT_FOUND' });
    },
  );

  test('the table has every route that there is, and no other', async () => {
    const routes = await routesOf(replica.dependencies);
    const guarded = routes.filter((route) => !isPublic(route));
    const listed = MATRIX.flatMap(({ route }) =>
      route.startsWith('GET') ? [route, `HEAD${route.slice(3)}`] : [route],
    );
    expect(new Set(guarded)).toStrictEqual(new Set(listed));
  });

  test('what needs no token says the same to everyone', async () => {
    const routes = (await routesOf(replica.dependencies)).filter((route) => isPublic(route) && !route.includes('*'));
    expect(routes.length).toBeGreaterThanOrEqual(4);
    for (const route of routes) {
      const [method = '', path = ''] = route.split(' ');
      expect(['GET', 'HEAD']).toContain(method);
      const answers = everyone.map(async (who) => {
        const token = WHO[who] === null ? '' : await tokenOf(WHO[who].as, WHO[who].roles);
        const answer = await fetch(replica.address + path, { method, headers: { authorization: `Bearer ${token}` } });
        return [answer.status, await answer.text()];
      });
      const [first, ...others] = await Promise.all(answers);
      for (const other of others) expect(other, route).toStrictEqual(first);
    }
  });
});

/** Health, and the documentation: read by whoever asks. Everything else must be in the matrix. */
function isPublic(route: string): boolean {
  return /^(?:GET|HEAD) \/(?:livez|readyz|metrics|openapi\.json|docs(?:\/.*)?)$/.test(route);
}

describe('lists', () => {
  test('show authors their own sessions, agents and operators everybody’s, whatever the cursor and the filter', async () => {
    const [hers, his] = [await newSession(ALICE), await newSession(BOB)];
    await newSession(ALICE);
    const page = await get(ALICE, `${SESSIONS}?limit=1`);
    const cursor = String(page.body?.['next_cursor']);
    for (const query of ['', '?status=IN_PROGRESS', `?cursor=${cursor}`, '?limit=100']) {
      const shown = idsIn(await get(BOB, `${SESSIONS}${query}`), 'session_id');
      expect(shown).not.toContain(hers);
      for (const id of shown) expect((await get(BOB, `${SESSIONS}/${String(id)}`)).status).toBe(200);
    }
    for (const who of [ROBOT, OPS]) {
      expect(idsIn(await get(who, SESSIONS), 'session_id')).toEqual(expect.arrayContaining([hers, his]));
    }
  });

  test('of a session hold nothing of another, whatever cursor comes', async () => {
    const [hers, his] = [await newSession(ALICE), await newSession(BOB)];
    await command(ALICE, hers, 'SubmitFeedback', { feedback: 'secret' });
    await command(ALICE, hers, 'SubmitFeedback', { feedback: 'secret' });
    for (const list of ['commands', 'events']) {
      const first = await get(ALICE, `${SESSIONS}/${hers}/${list}?limit=1`);
      const cursor = String(first.body?.['next_cursor']);
      expect((await get(BOB, `${SESSIONS}/${hers}/${list}?cursor=${cursor}`)).status).toBe(404);
      const mixed = await get(BOB, `${SESSIONS}/${his}/${list}?cursor=${cursor}`);
      expect(mixed.status).toBe(200);
      expect(JSON.stringify(mixed.body)).not.toMatch(new RegExp(`secret|${hers}`));
    }
    const sessionCursor = String((await get(OPS, `${SESSIONS}?limit=1`)).body?.['next_cursor']);
    expect((await get(BOB, `${SESSIONS}/${his}/commands?cursor=${sessionCursor}`)).status).toBe(400);
  });
});

describe('a command', () => {
  test('is found in its own session only', async () => {
    const [one, other] = [await newSession(ALICE), await newSession(ALICE)];
    const [his, commandId] = [await newSession(BOB), await ask(ALICE, one)];
    expect((await get(ALICE, `${SESSIONS}/${one}/commands/${commandId}`)).status).toBe(200);
    for (const [who, session] of [
      [ALICE, other],
      [BOB, his],
      [ROBOT, other],
      [OPS, his],
    ] as const) {
      const real = await get(who, `${SESSIONS}/${session}/commands/${commandId}`);
      expect(real.status).toBe(404);
      const nothing = { sessionId: session, commandId: uuidv7() };
      const unreal = await get(who, `${SESSIONS}/${session}/commands/${nothing.commandId}`);
      expect(comparable(real, { sessionId: session, commandId })).toStrictEqual(comparable(unreal, nothing));
    }
  });

  test('of an agent answers the request of its own session only', async () => {
    const [one, other] = [await newSession(ALICE), await newSession(BOB)];
    const commandId = await ask(ALICE, one);
    const payload = { request_id: commandId, reason: 'x' };
    const answer = await command(ROBOT, other, 'FailConceptGeneration', payload);
    expect(answer.body).toMatchObject({ error_code: 'NOTHING_TO_ANSWER', outstanding_request: null });
    expect((await get(ALICE, `${SESSIONS}/${one}/commands/${commandId}`)).body?.['status']).toBe('PROCESSING');
  });
});

describe('an Idempotency-Key', () => {
  test('of somebody else means nothing, on a new session neither', async () => {
    const key = { 'idempotency-key': uuidv7() };
    const hers = await post(ALICE, SESSIONS, { title: 'Hers' }, key);
    const his = await post(BOB, SESSIONS, { title: 'His' }, key);
    expect([hers.status, his.status]).toEqual([201, 201]);
    expect(his.headers.get('idempotency-replayed')).toBeNull();
    expect(his.body?.['session_id']).not.toBe(hers.body?.['session_id']);
    expect((await post(ALICE, SESSIONS, { title: 'Hers' }, key)).body).toStrictEqual(hers.body);
  });

  test('of the owner replays nothing to an agent', async () => {
    const { sessionId } = await arrange('asked');
    await post(ALICE, `${SESSIONS}/${sessionId}/commands`, FEEDBACK, { 'idempotency-key': KEY });
    const path = `${SESSIONS}/${sessionId}/commands`;
    const body = { command_type: 'FailConceptGeneration', payload: { request_id: uuidv7(), reason: 'x' } };
    const answer = await post(ROBOT, path, body, { 'idempotency-key': KEY });
    expect(answer.body).toMatchObject({ error_code: 'NOTHING_TO_ANSWER' });
  });
});

describe('who is almost the owner, or almost privileged, is a stranger', () => {
  test.each<[string, Caller]>([
    ['another case', { as: 'Alice' }],
    ['a space', { as: 'alice ' }],
    ['a wide letter', { as: 'ａlice' }],
    ['a letter with a mark', { as: 'alicé' }],
    ['an invisible character', { as: 'alice\u200b' }],
    ['a wildcard', { as: 'alic%' }],
    ['a role that is none', { as: 'bob', roles: ['admin', 'Operator', 'AGENT', 'agent,operator', 'system'] }],
  ])('%s', async (_what, who) => {
    const sessionId = await newSession(ALICE);
    expect((await get(who, `${SESSIONS}/${sessionId}`)).status).toBe(404);
    expect((await command(who, sessionId, 'AbandonSession', {})).status).toBe(404);
    expect(idsIn(await get(who, SESSIONS), 'session_id')).not.toContain(sessionId);
  });

  test.each([['agent'], ['operator']])(
    'an author who is %s too reads all and commands only their own',
    async (role) => {
      const both = { as: 'bob', roles: ['author', role] };
      const [hers, his] = [await newSession(ALICE), await newSession(BOB)];
      expect((await get(both, `${SESSIONS}/${hers}`)).status).toBe(200);
      expect((await command(both, hers, 'AbandonSession', {})).status).toBe(404);
      expect((await command(both, his, 'AbandonSession', {})).status).toBe(200);
    },
  );
});
