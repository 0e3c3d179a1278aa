import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { ERRORS, type GenesisError } from '../errors.ts';
import { pathOf } from './paths.ts';
import { contextOf } from './request-context.ts';

/**
 * One line per request: debug, since a busy API answers thousands a second, and since why one failed has a line of its own. Only
 * what is listed here: no header, no body, no token, no query.
 */
export function logRequest(logger: Logger, request: FastifyRequest, reply: FastifyReply): void {
  if (!logger.isLevelEnabled('debug')) return;
  logger.debug(
    {
      method: request.method,
      route: request.routeOptions.url ?? null,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime * 10) / 10,
      ...identity(request),
    },
    'request',
  );
}

/** By what lines about one request, its command and its session are found. */
function identity(request: FastifyRequest) {
  const { traceId, principal, sessionId, commandId } = contextOf(request);
  return {
    trace_id: traceId,
    user_id: principal?.userId ?? null,
    ...(sessionId === null ? {} : { session_id: sessionId }),
    ...(commandId === null ? {} : { command_id: commandId }),
  };
}

/** Between two lines about commands that were turned away, in milliseconds. */
const OVERLOAD_LINES = 1_000;

/** Why requests got a 5xx: a defect with all that is known of it, a dependency's absence with a line, too much load with a line a second. */
export class FailureLog {
  readonly #logger: Logger;
  /** Turned away since the last line. */
  #turnedAway = 0;
  #toldAt = -Infinity;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  log(error: GenesisError, request: FastifyRequest): void {
    const { status } = ERRORS[error.code];
    if (status < 500) return;
    if (error.code === 'OVERLOADED' && !this.#isOverloadDue()) return;
    const facts = {
      code: error.code,
      method: request.method,
      path: pathOf(request.url),
      status,
      ...identity(request),
    };
    if (error.code === 'INTERNAL_ERROR')
      this.#logger.error({ ...facts, err: described(error.cause) }, 'request failed');
    else this.#logger.warn({ ...facts, ...this.#others(error), ...causeOf(error) }, error.message);
  }

  /** Thousands of lines a second would cost more than what they tell of. */
  #isOverloadDue(): boolean {
    const now = performance.now();
    const due = now - this.#toldAt >= OVERLOAD_LINES;
    if (due) this.#toldAt = now;
    else this.#turnedAway += 1;
    return due;
  }

  #others({ code }: GenesisError): { readonly turned_away_before?: number } {
    if (code !== 'OVERLOADED') return {};
    const others = this.#turnedAway;
    this.#turnedAway = 0;
    return { turned_away_before: others };
  }
}

function causeOf({ cause }: GenesisError): { readonly cause?: string } {
  return cause === undefined ? {} : { cause: described(cause).message };
}

/** Not the error itself: drivers hang values of the request on theirs. */
function described(error: unknown): { type: string; message: string; stack?: string | undefined } {
  if (error instanceof Error) return { type: error.name, message: error.message, stack: error.stack };
  return { type: typeof error, message: String(error) };
}
