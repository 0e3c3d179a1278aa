import type { Concept } from './generate-concepts.ts';
import type { ConceptRequest } from './read-record.ts';

/** How a request ends: with concepts, or with the reason why there are none. */
export type Answer =
  | { readonly kind: 'concepts'; readonly concepts: readonly Concept[] }
  | { readonly kind: 'failure'; readonly reason: string };

/** What became of an answer: accepted now, accepted before (this is a repetition), or nobody waits for it any more. */
export type Delivery = 'accepted' | 'repeated' | 'too late';

/** The API, the way to it or our credential is not as it should be: no fault of the request. To be tried again without end. */
export class OutageError extends Error {
  override readonly name = 'OutageError';
  /** Milliseconds that the API asks to wait at least; 0 if it does not say. */
  readonly retryAfter: number;

  constructor(message: string, retryAfter = 0, options?: ErrorOptions) {
    super(message, options);
    this.retryAfter = retryAfter;
  }
}

/** The API refuses just this request, and will probably do so again. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
}

export interface GenesisApi {
  /** Whether the author still waits: no need to ask a model otherwise. @throws OutageError, RefusedError */
  isOutstanding(request: ConceptRequest): Promise<boolean>;
  /** Safe to repeat: the Idempotency-Key is the id of the event that is answered. @throws OutageError, RefusedError */
  deliver(request: ConceptRequest, answer: Answer): Promise<Delivery>;
}

/** Milliseconds until a request without an answer counts as lost. */
const TIMEOUT = 10_000;
/** Milliseconds that a Retry-After can make us wait at most. */
const LONGEST_WAIT = 300_000;

/** Says that nobody waits for the answer; from the documentation of the API's errors. */
const TOO_LATE = new Set(['NOTHING_TO_ANSWER', 'SESSION_CLOSED']);
/** Not this request's fault: time-outs, credentials (somebody is renewing them), overload, a gateway without a server. */
const OUTAGES = new Set([401, 403, 408, 425, 429, 502, 503, 504]);

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Readonly<Record<string, unknown>>;
}

/** @param cut Aborts requests in flight: their outcome is then unknown, and a repetition finds it out. */
export function createGenesisApi(base: string, token: string, cut: AbortSignal): GenesisApi {
  const call = async (path: string, init: RequestInit, traceparent: string | null): Promise<Reply> => {
    const headers = new Headers(init.headers);
    headers.set('authorization', `Bearer ${token}`);
    if (traceparent !== null) headers.set('traceparent', traceparent);
    const signal = AbortSignal.any([AbortSignal.timeout(TIMEOUT), cut]);
    try {
      const response = await fetch(`${base}/api/v1/genesis/sessions/${path}`, { ...init, headers, signal });
      return { status: response.status, headers: response.headers, body: membersOf(await response.text()) };
    } catch (error) {
      throw new OutageError(`the API cannot be reached: ${causeOf(error)}`, 0, { cause: error });
    }
  };

  return {
    async isOutstanding({ sessionId, requestId, traceparent }) {
      const reply = await call(encodeURIComponent(sessionId), { method: 'GET' }, traceparent);
      if (reply.status !== 200) throw errorOf(reply);
      return reply.body['outstanding_request'] === requestId;
    },

    async deliver(request, answer) {
      const { sessionId, eventId, traceparent } = request;
      const reply = await call(
        `${encodeURIComponent(sessionId)}/commands`,
        {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'idempotency-key': eventId },
          body: JSON.stringify(commandOf(request, answer)),
        },
        traceparent,
      );
      return deliveryOf(reply);
    },
  };
}

function commandOf({ requestId: request_id }: ConceptRequest, answer: Answer): object {
  return answer.kind === 'concepts'
    ? { command_type: 'ProposeConcepts', payload: { request_id, concepts: answer.concepts } }
    : { command_type: 'FailConceptGeneration', payload: { request_id, reason: answer.reason } };
}

function deliveryOf(reply: Reply): Delivery {
  const { status, headers, body } = reply;
  const code = textOf(body, 'error_code');
  if (status === 200) return headers.get('idempotency-replayed') === 'true' ? 'repeated' : 'accepted';
  if (status === 409 && TOO_LATE.has(code)) return 'too late';
  // An answer of ours to this event was accepted before, but it was another one: the first one counts.
  if (status === 422 && code === 'IDEMPOTENCY_KEY_REUSED') return 'repeated';
  throw errorOf(reply);
}

function errorOf({ status, headers, body }: Reply): Error {
  const words = `${status} ${textOf(body, 'error_code')}: ${textOf(body, 'message')}`;
  return OUTAGES.has(status)
    ? new OutageError(words, retryAfterOf(headers.get('retry-after')))
    : new RefusedError(words);
}

/** RFC 9110, 10.2.3: seconds or a date. */
export function retryAfterOf(header: string | null, now = Date.now()): number {
  if (header === null) return 0;
  const milliseconds = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - now;
  return Number.isNaN(milliseconds) ? 0 : Math.min(LONGEST_WAIT, Math.max(0, milliseconds));
}

function membersOf(text: string): Reply['body'] {
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === 'object' && body !== null ? { ...body } : {};
  } catch {
    return {};
  }
}

function textOf(body: Reply['body'], name: string): string {
  const value = body[name];
  return typeof value === 'string' ? value : '(no words)';
}

/** fetch hides what happened behind "fetch failed". */
function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message || error.cause.name : error.message;
}
