import { join } from 'node:path';
import { validate } from '@readme/openapi-parser';
import { Compile } from 'typebox/compile';
import { describe, expect, it } from 'vitest';
import { committedOpenApi, openApiText } from '../../checks/openapi.ts';
import type { CommandRefusal } from '../../src/commands/ports.ts';
import { ERRORS, GenesisError, type ErrorCode } from '../../src/errors.ts';
import { createApp } from '../../src/http/app.ts';
import { COMMAND_BODIES, CreateSession } from '../../src/http/command-schemas.ts';
import { OPS_EXAMPLES } from '../../src/http/openapi/ops.ts';
import { COMMAND_EXAMPLES, CREATION_EXAMPLE } from '../../src/http/openapi/writes.ts';
import { DiscardRequest, PauseRequest, PreviewRequest, RetryRequest } from '../../src/http/ops-schemas.ts';
import {
  call,
  COMMANDS,
  createApi,
  FEEDBACK,
  post,
  REQUEST_ID,
  SESSION_ID,
  SESSIONS,
  type Api,
} from './api-harness.ts';
import { NO_OPERATIONS } from './no-operations.ts';

const OPS = '/api/v1/ops';
const OPERATOR = { as: 'olga', roles: ['operator'] };
const root = join(import.meta.dirname, '../..');

interface Response {
  readonly description: string;
  readonly headers?: Readonly<Record<string, object>>;
  readonly content?: Readonly<Record<string, { readonly schema: { readonly $ref?: string; readonly oneOf?: Ref[] } }>>;
  readonly links?: Readonly<Record<string, Link>>;
}
interface Ref {
  readonly $ref: string;
}
interface Link {
  readonly operationId: string;
  readonly parameters: Readonly<Record<string, string>>;
}
interface Operation {
  readonly operationId: string;
  readonly security?: readonly object[];
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly responses: Readonly<Record<string, Response>>;
}
interface Schema {
  readonly required: readonly string[];
  /** Absent where it is a choice. */
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
}

const text = await openApiText();
const document = JSON.parse(text) as {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
};
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, ...operation })),
);
const operation = (id: string) => operations.find(({ operationId }) => operationId === id);
const { schemas } = document.components;

/** The components that a response of this media type may consist of. */
function namesIn(response: Response | undefined, mediaType: string): readonly (string | undefined)[] {
  const schema = response?.content?.[mediaType]?.schema;
  return (schema?.oneOf ?? [schema]).map((choice) => choice?.$ref?.split('/').at(-1));
}

/** The error codes that a response may carry. */
function codesOf(response: Response): readonly ErrorCode[] {
  const names = namesIn(response, 'application/problem+json');
  return names.map((name) => schemas[name ?? '']?.properties?.['error_code']?.const as ErrorCode);
}
const problems = operations.flatMap(({ operationId, responses }) =>
  Object.entries(responses)
    .filter(([, { content }]) => content !== undefined && 'application/problem+json' in content)
    .flatMap(([status, response]) => codesOf(response).map((code) => ({ operationId, status, response, code }))),
);

describe('the document', () => {
  it('is OpenAPI 3.1 as it should be', async () => {
    expect(document.openapi).toBe('3.1.0');
    const result = await validate(structuredClone(document) as unknown as Parameters<typeof validate>[0]);
    expect(result).toMatchObject({ valid: true, warnings: [] });
  });

  it('is the one in docs; mend by: node checks/openapi.ts --write', () => {
    expect(committedOpenApi(root)).toBe(text);
  });

  it('names every operation once', () => {
    const names = operations.map(({ operationId }) => operationId);
    expect(names).toHaveLength(20);
    expect(new Set(names).size).toBe(names.length);
  });

  it('uses every component, and refers to none that is not there', () => {
    const used = new Set([...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name));
    const unused = Object.keys(schemas).filter((name) => !used.has(name));
    // No documented operation has a method that it does not have.
    expect(unused).toEqual(['MethodNotAllowedProblem']);
    expect([...used].filter((name) => !Object.hasOwn(schemas, name ?? ''))).toEqual([]);
  });

  it('describes each path parameter of each path', () => {
    for (const { path, parameters = [] } of operations) {
      const inPath = parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name);
      expect(inPath, path).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
    }
  });

  it('links to operations that are there, by parameters that they take', () => {
    const links = operations.flatMap(({ responses }) =>
      Object.values(responses).flatMap(({ links = {} }) => Object.values(links)),
    );
    expect(links.length).toBeGreaterThan(10);
    for (const link of links) {
      const names = operation(link.operationId)?.parameters?.map(({ name }) => name);
      expect(names, link.operationId).toEqual(expect.arrayContaining(Object.keys(link.parameters)));
    }
  });
});

describe('errors in the document', () => {
  it('come with the statuses of their codes', () => {
    expect(problems.length).toBeGreaterThan(50);
    for (const { operationId, status, code } of problems) {
      const statuses = code === 'MALFORMED_REQUEST' ? ['400', '408', '431'] : [`${ERRORS[code].status}`];
      expect(statuses, `${operationId} ${status}`).toContain(status);
      const schema = schemas[nameOf(code)]?.properties?.['status'];
      expect((schema?.enum ?? [schema?.const]).map(String), code).toEqual(statuses);
    }
  });

  it('are all there, but for the method that a documented operation cannot lack', () => {
    const told = new Set(problems.map(({ code }) => code));
    expect(Object.keys(ERRORS).filter((code) => !told.has(code as ErrorCode))).toEqual(['METHOD_NOT_ALLOWED']);
  });

  it('say for every call that needs a token what happens without one', () => {
    const open = operations.filter(({ security }) => security?.length === 0).map(({ operationId }) => operationId);
    expect(open).toEqual(['getLiveness', 'getReadiness', 'getMetrics']);
    const refused = problems.filter(({ code }) => code === 'UNAUTHENTICATED');
    expect(refused.map(({ operationId }) => operationId).sort()).toEqual(
      operations
        .map(({ operationId }) => operationId)
        .filter((id) => !open.includes(id))
        .sort(),
    );
    for (const { response } of refused) expect(response.headers).toHaveProperty('WWW-Authenticate');
  });

  it('that are worth a retry say when', () => {
    for (const { status, response } of problems.filter(({ status }) => status === '429' || status === '503')) {
      expect(response.headers, status).toHaveProperty('Retry-After');
    }
  });
});

function nameOf(code: ErrorCode): string {
  return Object.keys(schemas).find((name) => schemas[name]?.properties?.['error_code']?.const === code) ?? '';
}

describe('examples', () => {
  it.each([...COMMAND_BODIES])('%s fits the schema that judges it', (type, body) => {
    expect([...Compile(body).Errors({ command_type: type, payload: COMMAND_EXAMPLES[type] })]).toEqual([]);
  });

  it.each(Object.entries({ DiscardRequest, PauseRequest, PreviewRequest, RetryRequest }))(
    'the body of a call of operators fits: %s',
    (name, schema) => {
      expect([...Compile(schema).Errors(OPS_EXAMPLES[name as keyof typeof OPS_EXAMPLES])]).toEqual([]);
    },
  );

  it('the body of a new session fits', () => {
    expect(Compile(CreateSession).Check(CREATION_EXAMPLE)).toBe(true);
  });
});

describe('what the API really answers is in the document', () => {
  const api = createApi();
  it.each([
    ['createSession', () => post(api, SESSIONS, CREATION_EXAMPLE)],
    ['listSessions', () => call(api, 'GET', SESSIONS)],
    ['readSession', () => call(api, 'GET', `${SESSIONS}/${SESSION_ID}`)],
    ['sendCommand', () => post(api, COMMANDS, { command_type: 'UpdateSession', payload: { title: 'A' } })],
    [
      'sendCommand',
      () =>
        post(api, COMMANDS, {
          command_type: 'RequestConceptGeneration',
          payload: COMMAND_EXAMPLES.RequestConceptGeneration,
        }),
    ],
    ['listCommands', () => call(api, 'GET', COMMANDS)],
    ['listEvents', () => call(api, 'GET', `${SESSIONS}/${SESSION_ID}/events`)],
    ['getLiveness', () => call(api, 'GET', '/livez')],
    ['getReadiness', () => call(api, 'GET', '/readyz')],
    ['readCommand', () => call(api, 'GET', `${COMMANDS}/${SESSION_ID}`)],
    ['sendCommand', () => post(api, COMMANDS, '{')],
    ['readOutbox', () => call(api, 'GET', `${OPS}/outbox`, undefined, OPERATOR)],
    ['listOutboxRows', () => call(api, 'GET', `${OPS}/outbox/rows`, undefined, OPERATOR)],
    ['listOutboxRows', () => call(api, 'GET', `${OPS}/outbox/rows`)],
    ['readPublication', () => call(api, 'GET', `${OPS}/sessions/${SESSION_ID}/publication`, undefined, OPERATOR)],
    ['previewOutboxAction', () => post(api, `${OPS}/outbox/preview`, OPS_EXAMPLES.PreviewRequest, OPERATOR)],
    ['retryOutboxRows', () => post(api, `${OPS}/outbox/retry`, OPS_EXAMPLES.RetryRequest, OPERATOR)],
    ['discardOutboxRows', () => post(api, `${OPS}/outbox/discard`, OPS_EXAMPLES.DiscardRequest, OPERATOR)],
    ['discardOutboxRows', () => post(api, `${OPS}/outbox/discard`, {}, OPERATOR)],
    ['listShards', () => call(api, 'GET', `${OPS}/shards`, undefined, OPERATOR)],
    ['pauseShards', () => post(api, `${OPS}/shards/pause`, OPS_EXAMPLES.PauseRequest, OPERATOR)],
    ['resumeShards', () => post(api, `${OPS}/shards/resume`, OPS_EXAMPLES.PauseRequest, OPERATOR)],
    ['listOperatorActions', () => call(api, 'GET', `${OPS}/actions`, undefined, OPERATOR)],
    ['readSession', () => call(api, 'GET', `${SESSIONS}/x`)],
  ])('%s', async (id, ask) => {
    const answer = await ask();
    const response = operation(id)?.responses[answer.statusCode];
    const body = answer.json<object>();
    const { properties = {}, required } = schemaOf(response, String(answer.headers['content-type']), body);
    expect(Object.keys(body).filter((member) => !Object.hasOwn(properties, member))).toEqual([]);
    expect(required.filter((member) => !Object.hasOwn(body, member))).toEqual([]);
    const headers = Object.keys(response?.headers ?? {}).filter((name) => name !== 'Idempotency-Replayed');
    for (const header of headers) expect(answer.headers).toHaveProperty(header.toLowerCase());
  });
});

/** What the document says of a body that a response has; for errors by their code. */
function schemaOf(response: Response | undefined, contentType: string, body: object): Schema {
  const known = namesIn(response, contentType.replace(/;.*/, ''));
  const name = 'error_code' in body ? nameOf(body.error_code as ErrorCode) : known[0];
  const schema = known.includes(name) ? schemas[name ?? ''] : undefined;
  if (schema === undefined) throw new Error(`'${name}' is not among ${known.join(', ')}`);
  return schema;
}

describe('the details of errors', () => {
  const limited = createApi({ config: { host: '127.0.0.1', port: 0, requestTimeout: 1_000, rateLimitPerUser: 1 } });
  const refusing = (refusal: CommandRefusal) =>
    createApi({ commands: { execute: async () => ({ kind: 'refused', refusal }) } });
  const throwing = (code: ErrorCode, details = {}) =>
    createApi({ commands: { execute: () => Promise.reject(new GenesisError(code, 'Why', details)) } });
  const send = (api: Api) => post(api, COMMANDS, FEEDBACK);
  const selectionChanged = new GenesisError('SELECTION_CHANGED', 'Why', { actual_count: 3, actual_token: '3-x' });
  const changed = createApi({ operations: { ...NO_OPERATIONS, act: () => Promise.reject(selectionChanged) } });

  it.each<[ErrorCode, () => ReturnType<typeof post>]>([
    ['UNSUPPORTED_COMMAND_TYPE', () => post(createApi(), COMMANDS, { ...FEEDBACK, command_type: 'Sing' })],
    ['UNAUTHENTICATED', () => call(createApi(), 'GET', SESSIONS, undefined, { headers: { authorization: 'x' } })],
    ['FORBIDDEN', () => call(createApi(), 'POST', SESSIONS, {}, { roles: ['operator'] })],
    ['SESSION_NOT_FOUND', () => call(createApi(), 'GET', `${SESSIONS}/${SESSION_ID}`, undefined, { as: 'bob' })],
    ['DUPLICATE_COMMAND', () => send(refusing({ code: 'DUPLICATE_COMMAND', duplicateCommandId: REQUEST_ID }))],
    ['STAGE_MISMATCH', () => send(refusing({ code: 'STAGE_MISMATCH', currentStage: 'WORLDVIEW' }))],
    ['SESSION_CLOSED', () => send(refusing({ code: 'SESSION_CLOSED', status: 'ABANDONED' }))],
    ['NOTHING_TO_ANSWER', () => send(refusing({ code: 'NOTHING_TO_ANSWER', outstandingRequestId: null }))],
    ['SELECTION_CHANGED', () => post(changed, `${OPS}/outbox/retry`, OPS_EXAMPLES.RetryRequest, OPERATOR)],
    ['VERSION_MISMATCH', () => send(refusing({ code: 'VERSION_MISMATCH', actualVersion: 3 }))],
    ['INVALID_PAYLOAD', () => post(createApi(), COMMANDS, { ...FEEDBACK, payload: {} })],
    ['IDEMPOTENCY_KEY_REUSED', () => send(refusing({ code: 'IDEMPOTENCY_KEY_REUSED' }))],
    [
      'RATE_LIMITED',
      () =>
        send(limited)
          .then(() => send(limited))
          .then(() => send(limited)),
    ],
    ['OVERLOADED', () => send(throwing('OVERLOADED'))],
    ['UNAVAILABLE', () => send(throwing('UNAVAILABLE'))],
    ['OUTCOME_UNKNOWN', () => send(throwing('OUTCOME_UNKNOWN', { command_id: REQUEST_ID, session_id: SESSION_ID }))],
    ['INTERNAL_ERROR', () => send(throwing('INTERNAL_ERROR'))],
  ])('%s: all that it carries is described, and comes', async (code, ask) => {
    const answer = await ask();
    expect(answer.json()).toMatchObject({ error_code: code, status: ERRORS[code].status });
    expect([...Compile(schemas[nameOf(code)] as object).Errors(answer.json())]).toEqual([]);
    const { properties = {}, required } = schemas[nameOf(code)] ?? { required: [] };
    const members = Object.keys(answer.json<object>());
    expect(members.filter((member) => !Object.hasOwn(properties, member))).toEqual([]);
    expect(required.filter((member) => !members.includes(member))).toEqual([]);
    const { response } = problems.find((problem) => problem.code === code) ?? {};
    for (const header of Object.keys(response?.headers ?? {}))
      expect(answer.headers).toHaveProperty(header.toLowerCase());
  });
});

describe('who may read it', () => {
  it('anybody, without a token', async () => {
    const { fastify } = createApi();
    const answer = await fastify.inject('/openapi.json');
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(answer.json()).toEqual(document);
  });
});

describe('a route that nobody has described', () => {
  it('is noticed', async () => {
    const { fastify } = createApp(createApi().dependencies);
    fastify.register(async (scope) => {
      scope.get('/new', async () => ({}));
    });
    expect((await fastify.inject('/openapi.json')).statusCode).toBe(500);
  });
});
