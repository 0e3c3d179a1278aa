import { ERRORS, type ErrorCode } from '../../errors.ts';
import { CurrentStage, Id, SessionStatus, Version } from '../schemas.ts';
import { SUPPORTED_COMMANDS } from '../command-schemas.ts';
import { problemType } from '../problem.ts';
import { REFUSAL_REASONS } from '../tokens.ts';
import { ref, RESPONSE_HEADERS, type Json, type Operation } from './operation.ts';

const ANY_REQUEST = ['MALFORMED_REQUEST', 'INTERNAL_ERROR'] as const;
const ANY_CALL = [...ANY_REQUEST, 'UNAUTHENTICATED', 'RATE_LIMITED', 'UNAVAILABLE'] as const;

/** HTTP has closer statuses for two kinds of malformed requests: too slow, and headers too long. */
const STATUSES: Readonly<Partial<Record<ErrorCode, readonly number[]>>> = { MALFORMED_REQUEST: [400, 408, 431] };

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const FieldErrors: Json = {
  type: 'array',
  minItems: 1,
  items: {
    type: 'object',
    required: ['pointer', 'detail'],
    properties: {
      pointer: { type: 'string', description: "RFC 6901, from the body's root" },
      detail: { type: 'string' },
    },
  },
};
const Checks: Json = { type: 'array', items: ref('ReadinessCheck') };

/** What errors carry besides the members that all have. A name with `?` may be absent. */
const DETAILS: Readonly<Partial<Record<ErrorCode, Readonly<Record<string, Json>>>>> = {
  UNSUPPORTED_COMMAND_TYPE: { supported: { type: 'array', items: { type: 'string', enum: [...SUPPORTED_COMMANDS] } } },
  UNAUTHENTICATED: { reason: { type: 'string', enum: [...REFUSAL_REASONS] } },
  DUPLICATE_COMMAND: { duplicate_command_id: plain(Id) },
  STAGE_MISMATCH: { current_stage: plain(CurrentStage) },
  SESSION_CLOSED: { session_status: plain(SessionStatus) },
  NOTHING_TO_ANSWER: { outstanding_request: { anyOf: [plain(Id), { type: 'null' }] } },
  VERSION_MISMATCH: { actual_version: plain(Version) },
  SELECTION_CHANGED: {
    actual_count: { type: 'integer', minimum: 0 },
    actual_token: { type: 'string', description: 'Names the rows that fit now' },
  },
  INVALID_PAYLOAD: { errors: FieldErrors },
  RATE_LIMITED: {
    retry_after: { type: 'integer', minimum: 1, description: 'Seconds until there is room' },
    requests_per_second: { type: 'number' },
    burst: { type: 'number', description: 'Most requests at once after a rest' },
  },
  UNAVAILABLE: {
    'checks?': Checks,
    'retry_after?': { type: 'integer', minimum: 1, description: 'Seconds; where an operator has to act first' },
  },
  OUTCOME_UNKNOWN: {
    'command_id?': plain(Id),
    'session_id?': plain(Id),
    'call_id?': { type: 'string', format: 'uuid', description: 'Of an operator: what the audit trail knows it by' },
  },
};

const HEADERS: Readonly<Partial<Record<ErrorCode, readonly (keyof typeof RESPONSE_HEADERS)[]>>> = {
  UNAUTHENTICATED: ['WWW-Authenticate'],
  RATE_LIMITED: ['Retry-After', 'RateLimit', 'RateLimit-Policy'],
  OVERLOADED: ['Retry-After'],
  UNAVAILABLE: ['Retry-After'],
  OUTCOME_UNKNOWN: ['Location'],
};

/** A schema without what TypeBox hangs on it. */
function plain(schema: object): Json {
  return JSON.parse(JSON.stringify(schema)) as Json;
}

/** The component that describes an error. */
function problemName(code: ErrorCode): string {
  const words = code.split('_').map((word) => `${word.slice(0, 1)}${word.slice(1).toLowerCase()}`);
  return `${words.join('')}Problem`;
}

/** One component for each error code, by its name. */
export function problemComponents(): Readonly<Record<string, Json>> {
  const codes = Object.keys(ERRORS) as ErrorCode[];
  return Object.fromEntries(codes.map((code) => [problemName(code), problemSchema(code)]));
}

function problemSchema(code: ErrorCode): Json {
  const { title, retryable } = ERRORS[code];
  const details = Object.entries(DETAILS[code] ?? {});
  const always = details.map(([name]) => name).filter((name) => !name.endsWith('?'));
  return {
    type: 'object',
    description: `${title}. ${retryable ? 'The same request may succeed later.' : 'The same request would fail again.'}`,
    required: ['type', 'title', 'status', 'detail', 'error_code', 'message', 'trace_id', ...always],
    properties: {
      type: { type: 'string', const: problemType(code) },
      title: { type: 'string', const: title },
      status: statusSchema(statusesOf(code)),
      detail: { type: 'string' },
      instance: { type: 'string', format: 'uri-reference', description: 'The path of the request' },
      error_code: { type: 'string', const: code },
      message: { type: 'string', description: 'For people; rely on error_code' },
      trace_id: { type: 'string', pattern: '^[0-9a-f]{32}$', examples: [TRACE_ID] },
      ...Object.fromEntries(details.map(([name, schema]) => [name.replace('?', ''), schema])),
    },
  };
}

function statusSchema([only = 0, ...more]: readonly number[]): Json {
  return { type: 'integer', ...(more.length === 0 ? { const: only } : { enum: [only, ...more] }) };
}

function statusesOf(code: ErrorCode): readonly number[] {
  return STATUSES[code] ?? [ERRORS[code].status];
}

/** Every answer that tells an error, by its status, as Response Objects. */
export function problemResponses({ open, errors }: Operation): Readonly<Record<string, Json>> {
  const codes = new Set<ErrorCode>([...(open === true ? ANY_REQUEST : ANY_CALL), ...errors]);
  const byStatus = Map.groupBy(
    [...codes].flatMap((code) => statusesOf(code).map((status) => ({ code, status }))),
    ({ status }) => status,
  );
  return Object.fromEntries(
    [...byStatus].map(([status, group]) => [`${status}`, problemResponse(group.map(({ code }) => code))]),
  );
}

function problemResponse(codes: readonly ErrorCode[]): Json {
  const names = codes.map(problemName);
  const [only = ''] = names;
  const mapping = Object.fromEntries(codes.map((code) => [code, ref(problemName(code)).$ref]));
  const choice: Json = { oneOf: names.map(ref), discriminator: { propertyName: 'error_code', mapping } };
  const headers = codes.flatMap((code) => HEADERS[code] ?? []);
  return {
    description: codes.map((code) => `\`${code}\`: ${ERRORS[code].title}`).join('. '),
    ...(headers.length === 0 ? {} : { headers: headersOf(headers) }),
    content: { 'application/problem+json': { schema: names.length === 1 ? ref(only) : choice } },
  };
}

/** Header Objects by their names. */
export function headersOf(names: readonly (keyof typeof RESPONSE_HEADERS)[]): Json {
  return Object.fromEntries(names.map((name) => [name, RESPONSE_HEADERS[name]]));
}
