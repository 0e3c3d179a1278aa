import { describe, expect, it } from 'vitest';
import type { CommandRefusal } from '../../src/commands/ports.ts';
import { ERRORS, GenesisError, type ErrorCode } from '../../src/errors.ts';
import { asGenesisError } from '../../src/http/error-translation.ts';
import { errorOfRefusal } from '../../src/http/refusals.ts';
import type { ReadinessCheck } from '../../src/http/ports.ts';
import { problemOf } from '../../src/http/problem.ts';
import {
  call,
  COMMANDS,
  createApi,
  FEEDBACK,
  get,
  HTTP,
  post,
  REQUEST_ID,
  SESSION_ID,
  SESSIONS,
} from './api-harness.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const traced = { headers: { traceparent: `00-${TRACE}-00f067aa0ba902b7-01` } };

const refusing = (refusal: CommandRefusal) =>
  createApi({ commands: { execute: async () => ({ kind: 'refused', refusal }) } });
const throwing = (error: Error) => createApi({ commands: { execute: () => Promise.reject(error) } });

describe('every error is a problem (RFC 9457) with the members that clients rely on', () => {
  it('has them all', async () => {
    const answer = await get(createApi(), `${SESSIONS}/${REQUEST_ID}?token=s3cret`, traced);
    expect(answer.statusCode).toBe(404);
    expect(answer.headers).toMatchObject({
      'content-type': 'application/problem+json; charset=utf-8',
      'cache-control': 'no-store',
    });
    expect(answer.json()).toStrictEqual({
      type: 'urn:genesis:error:SESSION_NOT_FOUND',
      title: 'No such session',
      status: 404,
      detail: 'There is no such session',
      instance: `${SESSIONS}/${REQUEST_ID}`,
      error_code: 'SESSION_NOT_FOUND',
      message: 'There is no such session',
      trace_id: TRACE,
    });
  });

  it('has them in the order of the documentation, then what is particular', () => {
    const error = new GenesisError('DUPLICATE_COMMAND', 'Why', { duplicate_command_id: 'x', status: 'theirs' });
    const { body } = problemOf(error, { path: '/p', traceId: TRACE });
    const common = ['type', 'title', 'status', 'detail', 'instance', 'error_code', 'message', 'trace_id'];
    expect(Object.keys(JSON.parse(body) as object)).toStrictEqual([...common, 'duplicate_command_id']);
    expect(JSON.parse(body)).toHaveProperty('status', 409);
  });

  it('makes a trace id when the request brought none', async () => {
    const one = (await get(createApi(), '/nowhere')).json<{ trace_id: string }>().trace_id;
    const other = (await get(createApi(), '/nowhere')).json<{ trace_id: string }>().trace_id;
    expect(one).toMatch(/^[0-9a-f]{32}$/);
    expect(other).not.toBe(one);
  });

  it.each(Object.keys(ERRORS) as ErrorCode[])('%s has its status and title', (code) => {
    const problem = problemOf(new GenesisError(code, 'Why', { extra: 1 }), { path: '/p', traceId: TRACE });
    expect(problem.status).toBe(ERRORS[code].status);
    expect(JSON.parse(problem.body)).toMatchObject({
      title: ERRORS[code].title,
      error_code: code,
      message: 'Why',
      extra: 1,
    });
  });

  it('lets no detail displace a member that all errors have', () => {
    const details = { status: 'ABANDONED', error_code: 'X', message: 'Y', trace_id: 'Z', type: 'T' };
    const { body } = problemOf(new GenesisError('SESSION_CLOSED', 'Why', details), { path: null, traceId: TRACE });
    expect(JSON.parse(body)).toMatchObject({
      status: 409,
      error_code: 'SESSION_CLOSED',
      message: 'Why',
      trace_id: TRACE,
    });
    expect(JSON.parse(body)).not.toHaveProperty('instance');
  });
});

describe('refusals of the command service', () => {
  const duplicate = REQUEST_ID;
  it.each<[CommandRefusal, number, object]>([
    [{ code: 'SESSION_NOT_FOUND' }, 404, {}],
    [{ code: 'IDEMPOTENCY_KEY_REUSED' }, 422, {}],
    [{ code: 'VERSION_MISMATCH', actualVersion: 4 }, 412, { actual_version: 4 }],
    [{ code: 'STAGE_MISMATCH', currentStage: 'PLOT_OUTLINE' }, 409, { current_stage: 'PLOT_OUTLINE' }],
    [{ code: 'SESSION_CLOSED', status: 'ABANDONED' }, 409, { session_status: 'ABANDONED', status: 409 }],
    [{ code: 'NOTHING_TO_ANSWER', outstandingRequestId: null }, 409, { outstanding_request: null }],
    [{ code: 'NOTHING_TO_ANSWER', outstandingRequestId: duplicate }, 409, { outstanding_request: duplicate }],
  ])('%j is %i', async (refusal, status, members) => {
    const answer = await post(refusing(refusal), COMMANDS, FEEDBACK);
    expect(answer.statusCode).toBe(status);
    expect(answer.json()).toMatchObject({ error_code: refusal.code, ...members });
    expect(answer.headers).not.toHaveProperty('etag');
  });

  it('says at which stage concepts can be asked for', () => {
    const refusal = { code: 'STAGE_MISMATCH', currentStage: 'WORLDVIEW' } as const;
    expect(errorOfRefusal(refusal, 'ConfirmStage').message).toBe('The session is at stage WORLDVIEW');
    expect(errorOfRefusal(refusal, 'RequestConceptGeneration').message).toBe(
      'The session is at stage WORLDVIEW; RequestConceptGeneration works only at CONCEPT_SELECTION',
    );
  });

  it('tells a duplicate in the words of the seed', async () => {
    const refusal = { code: 'DUPLICATE_COMMAND', duplicateCommandId: duplicate } as const;
    const answer = await post(refusing(refusal), COMMANDS, FEEDBACK);
    expect(answer.statusCode).toBe(409);
    expect(answer.json()).toMatchObject({
      error_code: 'DUPLICATE_COMMAND',
      message: 'Command already processing',
      duplicate_command_id: duplicate,
    });
  });

  it('knows somebody else’s session and none by the same error', () => {
    expect(errorOfRefusal({ code: 'SESSION_NOT_FOUND' }, 'SubmitFeedback').message).toBe('There is no such session');
  });
});

describe('errors of the command service', () => {
  it.each(['OVERLOADED', 'UNAVAILABLE'] as const)('%s is 503 and says when to try again', async (code) => {
    const answer = await post(throwing(new GenesisError(code, 'Not now')), COMMANDS, FEEDBACK);
    expect(answer.statusCode).toBe(503);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    expect(answer.json()).toMatchObject({ error_code: code, message: 'Not now' });
  });

  it('OUTCOME_UNKNOWN is 504 with the command and where to ask for it', async () => {
    const details = { command_id: REQUEST_ID, session_id: SESSION_ID };
    const answer = await post(throwing(new GenesisError('OUTCOME_UNKNOWN', 'Lost', details)), COMMANDS, FEEDBACK);
    expect(answer.statusCode).toBe(504);
    expect(answer.headers).toMatchObject({ location: `${COMMANDS}/${REQUEST_ID}` });
    expect(answer.json()).toMatchObject(details);
  });

  it('OUTCOME_UNKNOWN without ids names no place', async () => {
    const answer = await post(throwing(new GenesisError('OUTCOME_UNKNOWN', 'Lost')), SESSIONS, {});
    expect(answer.statusCode).toBe(504);
    expect(answer.headers).not.toHaveProperty('location');
  });
});

describe('a defect', () => {
  it.each<[string, Error]>([
    ['an error', Object.assign(new TypeError('s3cret: undefined is not'), { detail: 'row s3cret', code: '23505' })],
    ['an error that claims a status', Object.assign(new Error('s3cret'), { statusCode: 418, code: 'FST_ERR_X' })],
    ['no error at all', 's3cret' as unknown as Error],
    ['our own, with details', new GenesisError('INTERNAL_ERROR', 's3cret', { row: 's3cret' })],
  ])('%s is 500, is logged with its trace, and leaks nothing', async (_what, error) => {
    const api = throwing(error);
    const answer = await post(api, COMMANDS, FEEDBACK, traced);
    expect(answer.statusCode).toBe(500);
    expect(answer.json()).toMatchObject({ error_code: 'INTERNAL_ERROR', trace_id: TRACE });
    expect(answer.body).not.toContain('s3cret');
    const logged = api.log.lines.find(({ level }) => level === 50);
    expect(logged).toMatchObject({ trace_id: TRACE, path: COMMANDS, method: 'POST', code: 'INTERNAL_ERROR' });
    expect(JSON.stringify(logged)).toContain('s3cret');
    expect(JSON.stringify(logged)).not.toContain('row s3cret');
  });
});

describe('requests that no route takes', () => {
  it.each(['/', '/api', '/api/v1/genesis', `${SESSIONS}/${SESSION_ID}/command`, '/livez/x', '/metrics/x'])(
    '%s is 404 NOT_FOUND',
    async (url) => {
      const answer = await get(createApi(), url);
      expect(answer.json()).toMatchObject({ status: 404, error_code: 'NOT_FOUND', instance: url });
    },
  );

  it.each([
    ['DELETE', SESSIONS, 'GET, HEAD, POST'],
    ['PUT', `${SESSIONS}/${SESSION_ID}`, 'GET, HEAD'],
    ['PATCH', `${SESSIONS}/x?y=z`, 'GET, HEAD'],
    ['OPTIONS', COMMANDS, 'GET, HEAD, POST'],
    ['PROPFIND', `${COMMANDS}/x`, 'GET, HEAD'],
    ['TRACE', '/livez', 'GET, HEAD'],
  ])('%s %s is 405 and says what would work', async (method, url, allow) => {
    const answer = await call(createApi(), method, url, method === 'TRACE' ? undefined : '{');
    expect(answer.statusCode).toBe(405);
    expect(answer.headers).toMatchObject({ allow });
    expect(answer.json()).toMatchObject({ error_code: 'METHOD_NOT_ALLOWED', allow });
  });

  it('knows routes that end in a wildcard', async () => {
    const api = createApi();
    api.fastify.get('/console/*', async () => 'ok');
    expect((await get(api, '/console/a/b')).statusCode).toBe(200);
    expect((await post(api, '/console/a/b')).headers).toMatchObject({ allow: 'GET, HEAD' });
    expect((await post(api, '/elsewhere/a/b')).statusCode).toBe(404);
  });
});

describe('errors of Fastify', () => {
  it.each([
    ['FST_ERR_CTP_INVALID_CONTENT_LENGTH', 'MALFORMED_REQUEST'],
    ['FST_ERR_MAX_PARAM_LENGTH', 'MALFORMED_REQUEST'],
    ['FST_ERR_BAD_URL', 'MALFORMED_REQUEST'],
    ['FST_ERR_CTP_BODY_TOO_LARGE', 'PAYLOAD_TOO_LARGE'],
    ['FST_ERR_CTP_INVALID_MEDIA_TYPE', 'UNSUPPORTED_MEDIA_TYPE'],
    ['ECONNRESET', 'MALFORMED_REQUEST'],
    ['FST_ERR_REP_ALREADY_SENT', 'INTERNAL_ERROR'],
  ])('%s is %s', (code, ours) => {
    expect(asGenesisError(Object.assign(new Error('x'), { code })).code).toBe(ours);
  });

  it('a body beyond the limit is 413', async () => {
    const api = createApi({ limits: { bodyBytes: 100 } });
    const answer = await post(api, COMMANDS, JSON.stringify({ ...FEEDBACK, pad: 'x'.repeat(100) }));
    expect(answer.json()).toMatchObject({ status: 413, error_code: 'PAYLOAD_TOO_LARGE' });
  });

  it('a body at the limit is read', async () => {
    const body = JSON.stringify(FEEDBACK);
    const api = createApi({ limits: { bodyBytes: body.length } });
    expect((await post(api, COMMANDS, body)).statusCode).toBe(200);
  });
});

describe('health', () => {
  const bare = (api: ReturnType<typeof createApi>, url: string) => api.fastify.inject({ url });

  it('lives without asking anybody', async () => {
    const api = createApi({ readiness: () => Promise.reject(new Error('asked')) });
    const answer = await bare(api, '/livez');
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toStrictEqual({ status: 'ok' });
  });

  it('is ready when everything is there', async () => {
    const api = createApi({ readiness: async () => [{ name: 'postgres', ok: true, detail: '10.0.0.7' }] });
    const answer = await bare(api, '/readyz');
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toStrictEqual({ status: 'ready', checks: [{ name: 'postgres', ok: true }] });
  });

  it('names what is missing, and keeps to the log why', async () => {
    const checks = [
      { name: 'postgres', ok: true },
      { name: 'schema', ok: false, detail: 'password s3cret' },
    ];
    const api = createApi({ readiness: async () => checks });
    const answer = await bare(api, '/readyz');
    expect(answer.statusCode).toBe(503);
    expect(answer.headers).toHaveProperty('retry-after');
    expect(answer.json()).toMatchObject({
      error_code: 'UNAVAILABLE',
      message: 'Not ready: schema',
      checks: [
        { name: 'postgres', ok: true },
        { name: 'schema', ok: false },
      ],
    });
    expect(answer.body).not.toContain('s3cret');
  });

  it('tells the log why it is not ready when that changes, not at each probe', async () => {
    const away = (name: string, detail: string) => ({ name, ok: false, detail });
    let checks: readonly ReadinessCheck[] = [{ name: 'database', ok: true }];
    const api = createApi({ readiness: async () => checks });
    const probe = async (next: readonly ReadinessCheck[]) => {
      checks = next;
      await bare(api, '/readyz');
    };
    await probe(checks);
    await probe([away('database', 'password s3cret')]);
    await probe([away('database', 'port 55000')]);
    await probe([away('database', 'password s3cret'), away('broker', 'gone')]);
    await probe([{ name: 'database', ok: true }]);
    expect(api.log.lines.filter(({ msg }) => msg !== 'request')).toMatchObject([
      { level: 40, msg: 'not ready', why: ['database: password s3cret'] },
      { level: 40, msg: 'not ready', why: ['database: password s3cret', 'broker: gone'] },
      { level: 30, msg: 'ready again' },
    ]);
    expect(api.log.lines.filter(({ msg }) => msg === 'request').map(({ level }) => level)).toEqual(Array(5).fill(20));
  });

  it('is not ready when that cannot be learnt, in time or at all', async () => {
    const failing = createApi({ readiness: () => Promise.reject(new Error('x')) });
    expect((await bare(failing, '/readyz')).statusCode).toBe(503);
    const silent = createApi({
      config: { ...HTTP, requestTimeout: 20 },
      readiness: () => Promise.withResolvers<never>().promise,
    });
    expect((await bare(silent, '/readyz')).json()).toMatchObject({ status: 503, message: 'Not ready: readiness' });
  });
});
