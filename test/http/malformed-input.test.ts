import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../src/http/fingerprint.ts';
import { COMMANDS, createApi, get, post, REQUEST_ID, SESSIONS } from './api-harness.ts';

const feedback = (json: string) => `{"command_type":"SubmitFeedback","payload":{"feedback":${json}}}`;
const data = (json: string) => `{"command_type":"ConfirmStage","payload":{"stage":"WORLDVIEW","data":${json}}}`;
const nested = (levels: number) => `${'{"a":'.repeat(levels - 1)}{}${'}'.repeat(levels - 1)}`;
const bytes = (...parts: (string | number[])[]) => Buffer.concat(parts.map((part) => Buffer.from(part as string)));

describe('bodies that cannot be read are 400 MALFORMED_REQUEST', () => {
  it.each<[string, string | Buffer]>([
    ['nothing', ''],
    ['spaces', '   '],
    ['no JSON', '{"command_type":'],
    ['two values', '{} {}'],
    ['a trailing comma', '{"a":1,}'],
    ['a comment', '{} // x'],
    ['NaN', data('{"a":NaN}')],
    ['a number beyond all bounds', data('{"a":1e999}')],
    ['a negative one', data('[-1e999]')],
    ['NUL, escaped', feedback('"a\\u0000b"')],
    ['NUL, raw', feedback('"a\0b"')],
    ['NUL in a key', data('{"a\\u0000":1}')],
    ['a lone high surrogate', feedback('"\\ud83d"')],
    ['a lone low surrogate', feedback('"\\ude00 x"')],
    ['surrogates the wrong way round', feedback('"\\ude00\\ud83d"')],
    ['a lone surrogate in a key, deep down', data('{"a":[{"\\ud800":1}]}')],
    ['a lone surrogate below the allowed depth', data(`${'['.repeat(100)}"\\ud800"${']'.repeat(100)}`)],
    ['a surrogate as UTF-8', bytes('{"title":"', [0xed, 0xa0, 0x80], '"}')],
    ['a byte that UTF-8 has not', bytes('{"title":"', [0xff], '"}')],
    ['an overlong NUL', bytes('{"title":"', [0xc0, 0x80], '"}')],
    ['a cut sequence', bytes('{"title":"', [0xe4, 0xb8], '"}')],
    ['UTF-16', Buffer.from('{}', 'utf16le')],
    ['__proto__', data('{"__proto__":{"admin":true}}')],
    ['__proto__, escaped', data('{"__prot\\u006f__":1}')],
    ['__proto__ at the top', '{"__proto__":{}}'],
    ['constructor.prototype', data('{"constructor":{"prototype":{}}}')],
  ])('%s', async (_what, body) => {
    const api = createApi();
    const json = { headers: { 'content-type': 'application/json' } };
    for (const url of [COMMANDS, SESSIONS]) {
      const answer = await post(api, url, body, json);
      expect(answer.json()).toMatchObject({ status: 400, error_code: 'MALFORMED_REQUEST' });
      expect(answer.headers['content-type']).toContain('application/problem+json');
    }
    expect(api.requests).toStrictEqual([]);
  });

  it('also without any body or type', async () => {
    const api = createApi();
    expect((await post(api, SESSIONS)).statusCode).toBe(400);
    expect((await post(api, COMMANDS)).statusCode).toBe(400);
  });

  it('never repeats the body', async () => {
    const answer = await post(createApi(), SESSIONS, '{"title": s3cret}');
    expect(answer.body).not.toContain('s3cret');
  });
});

describe('what may look odd but is fine', () => {
  it.each([
    ['an emoji, escaped', feedback('"\\ud83d\\ude00"')],
    ['an emoji', feedback('"😀"')],
    ['control characters other than NUL', feedback('"\\u0001\\t\\u007f"')],
    ['a byte order mark', `\ufeff${feedback('"x"')}`],
    ['the word constructor', data('{"constructor":"Ada"}')],
    ['the word prototype', data('{"prototype":{"constructor":{}}}')],
    ['the largest number', data('{"a":1.7976931348623157e308}')],
    ['data at the depth that is allowed', data(nested(31))],
    ['data at the size that is allowed', data(JSON.stringify({ a: 'x'.repeat(65_536 - 8) }))],
    ['200 characters of four bytes', `{"command_type":"UpdateSession","payload":{"title":"${'😀'.repeat(200)}"}}`],
  ])('%s', async (_what, body) => {
    const answer = await post(createApi(), COMMANDS, body);
    expect(answer.json()).toMatchObject({ status: 'COMPLETED' });
  });

  it.each(['application/json; charset=utf-8', 'Application/JSON;charset="UTF-8"', 'application/json ; charset=UTF-8'])(
    'the type %s',
    async (type) => {
      const answer = await post(createApi(), COMMANDS, feedback('"x"'), { headers: { 'content-type': type } });
      expect(answer.statusCode).toBe(200);
    },
  );

  it('the encoding that is none', async () => {
    const answer = await post(createApi(), COMMANDS, feedback('"x"'), { headers: { 'content-encoding': 'Identity' } });
    expect(answer.statusCode).toBe(200);
  });
});

describe('bodies of another kind are 415', () => {
  it.each([
    'text/plain',
    'text/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json-patch+json',
    'application/merge-patch+json',
    'application/json; charset=utf-16',
    'application/json; charset=latin1',
    'application/json; version=2',
    'application/json, text/plain',
    'json',
    '/',
    ';',
  ])('%s', async (type) => {
    const answer = await post(createApi(), COMMANDS, feedback('"x"'), { headers: { 'content-type': type } });
    expect(answer.json()).toMatchObject({ status: 415, error_code: 'UNSUPPORTED_MEDIA_TYPE' });
  });

  it('no type at all', async () => {
    const api = createApi();
    const answer = await post(api, COMMANDS, feedback('"x"'), { headers: { 'content-type': '' } });
    expect(answer.statusCode).toBe(415);
  });

  it('compressed', async () => {
    const answer = await post(createApi(), COMMANDS, feedback('"x"'), { headers: { 'content-encoding': 'gzip' } });
    expect(answer.statusCode).toBe(415);
  });
});

describe('paths', () => {
  it.each([
    '',
    'x',
    '01890a5d-ac96-774b-bcce-b302099a805',
    '01890a5d-ac96-774b-bcce-b302099a80577',
    '01890a5dac96774bbcceb302099a8057',
    '%7B01890a5d-ac96-774b-bcce-b302099a8057%7D',
    '01890a5d-ac96-774b-bcce-b302099a8057%00',
    '01890a5d-ac96-774b-bcce-b302099a8057%0A',
    '%2e%2e%2f',
    "1'%20OR%20'1'='1",
    'a'.repeat(3_000),
    '%E4%B8%AD',
    '%zz',
    '%ff',
  ])('a session id that is none is 400: %s', async (id) => {
    const api = createApi();
    for (const answer of [await get(api, `${SESSIONS}/${id}`), await post(api, `${SESSIONS}/${id}/commands`, {})]) {
      expect(answer.json()).toMatchObject({ status: 400, error_code: 'MALFORMED_REQUEST' });
    }
    expect(api.reads).toStrictEqual([]);
  });

  it('an id is judged after the token', async () => {
    for (const id of ['x', 'x'.repeat(3_000)]) {
      const answer = await createApi().fastify.inject({ url: `${SESSIONS}/${id}` });
      expect(answer.statusCode).toBe(401);
    }
  });
});

describe('bodies that break their schema are 422 INVALID_PAYLOAD, fault by fault', () => {
  it.each<[string, unknown, string[]]>([
    ['no object', [], ['']],
    ['null', null, ['']],
    ['text', 'true', ['']],
    ['no members', {}, ['/command_type', '/payload']],
    ['no command_type', { payload: {} }, ['/command_type']],
    ['a command_type that is no string', { command_type: 5, payload: {} }, ['/command_type']],
    ['no payload', { command_type: 'AbandonSession' }, ['/payload']],
    ['a payload that is no object', { command_type: 'AbandonSession', payload: [] }, ['/payload']],
    ['a null payload', { command_type: 'AbandonSession', payload: null }, ['/payload']],
    ['an unknown member', { command_type: 'AbandonSession', payload: {}, 'a/b~': 1 }, ['/a~1b~0']],
    [
      'an unknown member of the payload',
      { command_type: 'AbandonSession', payload: { because: 1 } },
      ['/payload/because'],
    ],
    ['too short a text', { command_type: 'SubmitFeedback', payload: { feedback: '' } }, ['/payload/feedback']],
    ['too long a text', { command_type: 'UpdateSession', payload: { title: '😀'.repeat(201) } }, ['/payload/title']],
    ['nothing to update', { command_type: 'UpdateSession', payload: {} }, ['/payload']],
    ['an unknown stage', { command_type: 'ConfirmStage', payload: { stage: 'FINISHED' } }, ['/payload/stage']],
    [
      'data that is no object',
      { command_type: 'ConfirmStage', payload: { stage: 'WORLDVIEW', data: [1] } },
      ['/payload/data'],
    ],
  ])('%s', async (_what, body, pointers) => {
    const api = createApi();
    const answer = await post(api, COMMANDS, JSON.stringify(body));
    expect(answer.json()).toMatchObject({ status: 422, error_code: 'INVALID_PAYLOAD' });
    const { errors } = answer.json<{ errors: { pointer: string; detail: string }[] }>();
    expect(errors.map(({ pointer }) => pointer)).toStrictEqual(pointers);
    expect(errors.every(({ detail }) => detail.length > 0)).toBe(true);
    expect(api.requests).toStrictEqual([]);
  });

  it('says what is wrong in words', async () => {
    const body = { command_type: 'ConfirmStage', payload: { stage: 'X', more: 1 } };
    const { errors } = (await post(createApi(), COMMANDS, body)).json<{ errors: object[] }>();
    expect(errors).toContainEqual({
      pointer: '/payload/stage',
      detail: 'must be one of CONCEPT_SELECTION, STORY_CONCEPTION, WORLDVIEW, CHARACTERS, PLOT_OUTLINE',
    });
    expect(errors).toContainEqual({ pointer: '/payload/more', detail: 'is not a member that is known here' });
  });

  it('every fault of a list of concepts', async () => {
    const payload = {
      request_id: 'x',
      concepts: [{ title: 'T', summary: 'S' }, { title: '', summary: 'S' }, { title: 'T' }],
    };
    const body = { command_type: 'ProposeConcepts', payload };
    const answer = await post(createApi(), COMMANDS, body, { as: 'robot', roles: ['agent'] });
    const { errors } = answer.json<{ errors: { pointer: string }[] }>();
    expect(errors.map(({ pointer }) => pointer)).toStrictEqual([
      '/payload/request_id',
      '/payload/concepts/1/title',
      '/payload/concepts/2/summary',
    ]);
  });

  it.each([
    ['no concepts', []],
    ['too many', Array.from({ length: 11 }, () => ({ title: 'T', summary: 'S' }))],
  ])('%s', async (_what, concepts) => {
    const body = { command_type: 'ProposeConcepts', payload: { request_id: REQUEST_ID, concepts } };
    expect((await post(createApi(), COMMANDS, body, { as: 'robot', roles: ['agent'] })).statusCode).toBe(422);
  });

  it('faults of a new session point into the body', async () => {
    const answer = await post(createApi(), SESSIONS, { title: '', ideas: 'x' });
    const { errors } = answer.json<{ errors: { pointer: string }[] }>();
    expect(errors.map(({ pointer }) => pointer).sort()).toStrictEqual(['/ideas', '/title']);
  });

  it.each([['[]'], ['null'], ['1'], ['"x"']])('a new session needs an object, not %s', async (body) => {
    const answer = await post(createApi(), SESSIONS, body);
    expect(answer.json()).toMatchObject({ status: 422, errors: [{ pointer: '' }] });
  });

  it.each([
    ['nested too deep', nested(32), '/payload'],
    ['nested absurdly deep', `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, '/payload'],
    ['data too large', JSON.stringify({ a: 'x'.repeat(65_536 - 7) }), '/payload/data'],
    ['data too large in bytes', JSON.stringify({ a: '中'.repeat(21_844) }), '/payload/data'],
  ])('%s', async (_what, json, pointer) => {
    const answer = await post(createApi(), COMMANDS, data(json), { headers: { 'idempotency-key': 'k' } });
    expect(answer.json()).toMatchObject({ status: 422, error_code: 'INVALID_PAYLOAD', errors: [{ pointer }] });
  });

  it('an answer stays small, whatever the body', async () => {
    const long = { command_type: 'AbandonSession', payload: { ['x'.repeat(100_000)]: 1 } };
    const answer = await post(createApi(), COMMANDS, long);
    expect(answer.json()).toMatchObject({ errors: [{ pointer: '/payload' }] });
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`m${index}`, 1]));
    const other = await post(createApi(), COMMANDS, { command_type: 'AbandonSession', payload: many });
    expect(other.statusCode).toBe(422);
    expect(other.body.length).toBeLessThan(4_000);
  });
});

describe('commands that are none are 400 UNSUPPORTED_COMMAND_TYPE', () => {
  it.each(['CreateSession', 'createsession', '', 'toString', '__proto__', 'SubmitFeedback '])(
    '%s',
    async (command_type) => {
      const answer = await post(createApi(), COMMANDS, { command_type, payload: {} });
      expect(answer.json()).toMatchObject({
        status: 400,
        error_code: 'UNSUPPORTED_COMMAND_TYPE',
        supported: [
          'RequestConceptGeneration',
          'ProposeConcepts',
          'FailConceptGeneration',
          'SubmitFeedback',
          'ConfirmStage',
          'UpdateSession',
          'AbandonSession',
        ],
      });
    },
  );
});

describe('canonical JSON', () => {
  it('is sorted by code units, without spaces, whatever the order was', () => {
    const value = { b: [{ y: 1, x: null }], a: 'é"', 1: true, '\ud83d\ude00': 0, '\uffff': 0 };
    expect(canonicalJson(value)).toBe('{"1":true,"a":"é\\"","b":[{"x":null,"y":1}],"😀":0,"\uffff":0}');
  });
});
