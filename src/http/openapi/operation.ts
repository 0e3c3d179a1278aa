import type { ErrorCode } from '../../errors.ts';

/** JSON as it stands in the document. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** What a body is, by media type. */
export type Content = Readonly<Record<string, { readonly schema: Json; readonly example?: Json }>>;

/** A successful answer. */
export interface Answer {
  readonly description: string;
  /** Absent: no body. */
  readonly content?: Content;
  readonly headers?: readonly (keyof typeof RESPONSE_HEADERS)[];
  /** Link Objects by their names: what of this answer another operation takes. */
  readonly links?: Readonly<Record<string, Json>>;
}

/** What is said of a route besides what its own schemas say. */
export interface Operation {
  readonly tag: 'sessions' | 'commands' | 'events' | 'operations' | 'health';
  readonly summary: string;
  readonly description: string;
  /** It needs no token. */
  readonly open?: true;
  readonly headers?: readonly (keyof typeof REQUEST_HEADERS)[];
  /** A Request Body Object. */
  readonly body?: Json;
  readonly answers: Readonly<Record<number, Answer>>;
  /** What it can be refused with, besides what any request can be (problems.ts). */
  readonly errors: readonly ErrorCode[];
}

/** The component of that name. */
export function ref(name: string): { readonly $ref: string } {
  return { $ref: `#/components/schemas/${name}` };
}

/** A body of JSON by the component of that name. */
export function json(name: string, example?: Json): Content {
  return { 'application/json': { schema: ref(name), ...(example === undefined ? {} : { example }) } };
}

/** A link to an operation; its parameters as OpenAPI's runtime expressions. */
export function linkTo(operationId: string, parameters: Readonly<Record<string, string>>): Json {
  return { operationId, parameters };
}

/** Headers that requests may carry. No examples: the reader would fill them in, and so ask for 412 and 422. */
export const REQUEST_HEADERS = {
  'Idempotency-Key': {
    description:
      'Yours, e.g. a UUID. Send the request again with the same key after a time-out or a 5xx: it is carried out once, and every retry gets the first answer.',
    schema: { type: 'string', pattern: '^[!-~]{1,255}$' },
  },
  'If-Match': {
    description:
      'The ETag that you have seen, e.g. `"3"`: carried out only if it still is the version of the session. `*`: any.',
    schema: { type: 'string', pattern: '^(\\*|"(0|[1-9][0-9]{0,14})")$' },
  },
  'If-None-Match': {
    description: 'The ETag that you have: answered by 304 if it still is the version of the session.',
    schema: { type: 'string' },
  },
  'Last-Event-ID': {
    description: 'Streams only: the `id` of the last event that you have seen. Counts more than `after`.',
    schema: { type: 'string' },
  },
  traceparent: {
    description: 'W3C Trace Context. Carried on into the events; ignored if it is not valid.',
    schema: { type: 'string' },
  },
} as const satisfies Readonly<Record<string, Json>>;

/** Headers that answers carry. */
export const RESPONSE_HEADERS = {
  ETag: {
    description: 'The version of the session, in double quotes',
    required: true,
    schema: { type: 'string', pattern: '^"[1-9][0-9]*"$' },
    example: '"3"',
  },
  Location: { description: 'Where it is', required: true, schema: { type: 'string', format: 'uri-reference' } },
  'Retry-After': {
    description: 'Seconds to wait before the next try',
    required: true,
    schema: { type: 'integer', minimum: 0 },
  },
  'Idempotency-Replayed': {
    description: '`true`: this is the first answer again; nothing was carried out now',
    schema: { type: 'string', const: 'true' },
  },
  RateLimit: { description: 'What is left, by draft-ietf-httpapi-ratelimit-headers-10', schema: { type: 'string' } },
  'RateLimit-Policy': { description: 'What there is, by the same draft', schema: { type: 'string' } },
  'WWW-Authenticate': {
    description: 'RFC 6750: why the token was refused',
    required: true,
    schema: { type: 'string' },
  },
} as const satisfies Readonly<Record<string, Json>>;
