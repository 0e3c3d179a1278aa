import { describe, expect, it } from 'vitest';
import type { CommandRefusal } from '../../src/commands/ports.ts';
import {
  call,
  COMMANDS,
  createApi,
  FEEDBACK,
  REQUEST_ID,
  SESSION_ID,
  SESSIONS,
  type CallOptions,
} from './api-harness.ts';

/** Each case has every fault from its own on, and is told the first. */
const wrongId = COMMANDS.replace(SESSION_ID, REQUEST_ID);
const invalid = { command_type: 'SubmitFeedback', payload: {} };
const stranger = { as: 'bob' };
const operator = { as: 'ops', roles: ['operator'] };

describe('checks come in the order that the specification gives', () => {
  it.each<[string, { url?: string; body?: unknown; options?: CallOptions; status: number }]>([
    [
      '401 before 415',
      {
        url: `${SESSIONS}/x/commands`,
        options: { headers: { authorization: '', 'content-type': 'a/b' } },
        status: 401,
      },
    ],
    ['401 before 413', { body: 'x'.repeat(300_000), options: { headers: { authorization: 'Bearer x' } }, status: 401 }],
    ['413 before 403', { url: wrongId, body: 'x'.repeat(300_000), options: operator, status: 413 }],
    [
      '415 before 403',
      { url: wrongId, body: '{', options: { ...operator, headers: { 'content-type': 'text/plain' } }, status: 415 },
    ],
    ['400 for the body before 403', { url: wrongId, body: '{', options: operator, status: 400 }],
    [
      '400 for a header before 403',
      { url: wrongId, body: invalid, options: { ...operator, headers: { 'if-match': 'x' } }, status: 400 },
    ],
    ['400 for the command before 403', { url: wrongId, body: { command_type: 'X' }, options: operator, status: 400 }],
    ['403 before 404', { url: wrongId, body: invalid, options: operator, status: 403 }],
    ['403 before 422, even for a body that says nothing', { body: {}, options: operator, status: 403 }],
    ['404 before 422: no such session', { url: wrongId, body: invalid, status: 404 }],
    [
      '404 before 422: no such session, for an agent',
      { url: wrongId, body: {}, options: { as: 'robot', roles: ['agent'] }, status: 404 },
    ],
    ["404 before 422: somebody else's session", { body: invalid, options: stranger, status: 404 }],
    ["404 before 422: somebody else's session, no command", { body: [], options: stranger, status: 404 }],
    [
      '422 for the schema before the rest',
      { body: invalid, options: { headers: { 'idempotency-key': 'k', 'if-match': '"9"' } }, status: 422 },
    ],
  ])('%s', async (_what, { url = COMMANDS, body = FEEDBACK, options, status }) => {
    const api = createApi();
    const answer = await call(api, 'POST', url, body, options);
    expect(answer.statusCode).toBe(status);
    expect(api.requests).toStrictEqual([]);
  });

  it('403 before 422 for a new session', async () => {
    expect((await call(createApi(), 'POST', SESSIONS, { title: 5 }, operator)).statusCode).toBe(403);
  });

  it('the rest is judged by the command service, under the lock', async () => {
    const refusal: CommandRefusal = { code: 'SESSION_NOT_FOUND' };
    const api = createApi({ commands: { execute: async () => ({ kind: 'refused', refusal }) } });
    const answer = await call(api, 'POST', COMMANDS, FEEDBACK, stranger);
    expect(answer.statusCode).toBe(404);
    expect(api.requests).toHaveLength(1);
    expect(api.reads).toStrictEqual([]);
  });
});
