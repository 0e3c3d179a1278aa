import { expect, test } from 'vitest';
import { GenesisError } from '../../src/errors.ts';
import type { HttpDependencies } from '../../src/http/ports.ts';
import { createHttpServer } from '../../src/http/server.ts';
import {
  acceptance,
  call,
  COMMANDS,
  createApi,
  FEEDBACK,
  get,
  post,
  SESSION_ID,
  SESSIONS,
  tokenOf,
} from './api-harness.ts';

/** An API, and what it tells of its work. */
function measuredApi(changes: Partial<HttpDependencies> = {}) {
  const answered: string[] = [];
  const commands: string[] = [];
  const api = createApi({
    meter: {
      answered: (method, route, status, milliseconds) => {
        expect(milliseconds).toBeGreaterThanOrEqual(0);
        answered.push(`${method} ${route ?? '-'} ${status}`);
      },
      accepted: (type, replayed) => commands.push(`${replayed ? 'replayed' : 'accepted'} ${type}`),
      refused: (type, code) => commands.push(`${type ?? '-'} ${code}`),
      watchDoor: () => undefined,
    },
    ...changes,
  });
  return { api, answered, commands };
}

test('each answer is told by its route, not by its path', async () => {
  const { api, answered } = measuredApi();
  await get(api, `${SESSIONS}/${SESSION_ID}?x=1`);
  await get(api, '/livez');
  await get(api, '/wp-login.php');
  await call(api, 'DELETE', '/livez');
  await get(api, `${SESSIONS}/x`);
  expect(answered).toEqual([
    `GET ${SESSIONS}/:session_id 2xx`,
    'GET /livez 2xx',
    'GET - 4xx',
    'DELETE - 4xx',
    `GET ${SESSIONS}/:session_id 4xx`,
  ]);
});

test('each command is told once, by what it came to', async () => {
  const { api, commands } = measuredApi();
  await post(api, SESSIONS, {});
  await post(api, COMMANDS, FEEDBACK);
  await post(api, COMMANDS, { ...FEEDBACK, payload: {} });
  await post(api, SESSIONS, { title: 1 });
  await post(api, COMMANDS, { command_type: 'Explode' });
  await post(api, COMMANDS, '{');
  await post(api, COMMANDS, FEEDBACK, { headers: { authorization: 'Bearer x' } });
  await post(api, COMMANDS, FEEDBACK, { roles: ['operator'] });
  await get(api, COMMANDS);
  await post(api, `${COMMANDS}/x`, FEEDBACK);
  expect(commands).toEqual([
    'accepted CreateSession',
    'accepted SubmitFeedback',
    'SubmitFeedback INVALID_PAYLOAD',
    'CreateSession INVALID_PAYLOAD',
    '- UNSUPPORTED_COMMAND_TYPE',
    '- MALFORMED_REQUEST',
    '- UNAUTHENTICATED',
    'SubmitFeedback FORBIDDEN',
  ]);
});

test('a replay, a refusal under the lock, and a failure are told apart', async () => {
  const outcomes: HttpDependencies['commands']['execute'][] = [
    async (sent) => acceptance(sent, { replayed: true }),
    async () => ({ kind: 'refused', refusal: { code: 'VERSION_MISMATCH', actualVersion: 3 } }),
    () => Promise.reject(new GenesisError('OVERLOADED', 'full')),
    () => Promise.reject(new Error('a defect')),
  ];
  const { api, commands, answered } = measuredApi({
    commands: { execute: (sent) => outcomes.shift()?.(sent) ?? Promise.reject(new Error('too many')) },
  });
  for (let count = 0; count < 4; count += 1) await post(api, COMMANDS, FEEDBACK);
  expect(commands).toEqual([
    'replayed SubmitFeedback',
    'SubmitFeedback VERSION_MISMATCH',
    'SubmitFeedback OVERLOADED',
    'SubmitFeedback INTERNAL_ERROR',
  ]);
  expect(answered.map((line) => line.slice(-3))).toEqual(['2xx', '4xx', '5xx', '5xx']);
});

test('a stream is not measured: it lasts as long as somebody listens', async () => {
  const { api, answered } = measuredApi();
  const server = createHttpServer(api.dependencies);
  await server.start();
  try {
    const headers = { authorization: `Bearer ${await tokenOf('alice')}`, accept: 'text/event-stream' };
    const events = `${server.address()}${SESSIONS}/${SESSION_ID}/events`;
    const { status, body } = await fetch(events, { headers });
    expect(status).toBe(200);
    // The server ends it, so that its answer is finished as others are.
    await server.stop();
    await body?.cancel();
    expect(answered).toEqual([]);
  } finally {
    await server.stop();
  }
});

test('GET /metrics needs no token, and answers what it is given', async () => {
  const page = { contentType: 'text/plain; version=0.0.4; charset=utf-8', text: 'up 1\n' };
  const { api } = measuredApi({ metrics: async () => page });
  const answer = await api.fastify.inject({ url: '/metrics', headers: { host: 'x' } });
  expect({ status: answer.statusCode, body: answer.body }).toEqual({ status: 200, body: 'up 1\n' });
  expect(answer.headers).toMatchObject({ 'content-type': page.contentType, 'cache-control': 'no-store' });
});
