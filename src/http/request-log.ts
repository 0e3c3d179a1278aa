import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { ERRORS, type GenesisError } from '../errors.ts';
import { pathOf } from './paths.ts';
import { contextOf } from './request-context.ts';

/**
 * One line per request: debug, since a busy API answers thousands a second; info when the answer was a 5xx. Only what is listed
 * here: no header, no body, no token, no query.
 */
export function logRequest(logger: Logger, request: FastifyRequest, reply: FastifyReply): void {
  const level = reply.statusCode >= 500 ? 'info' : 'debug';
  if (!logger.isLevelEnabled(level)) return;
  const { traceId, principal } = contextOf(request);
  logger[level](
    {
      method: request.method,
      route: request.routeOptions.url ?? null,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime * 10) / 10,
      trace_id: traceId,
      user_id: principal?.userId ?? null,
    },
    'request',
  );
}

/** Why a request got a 5xx: a defect with all that is known of it, a dependency's absence with a line. */
export function logFailure(logger: Logger, error: GenesisError, request: FastifyRequest): void {
  if (ERRORS[error.code].status < 500) return;
  const { traceId } = contextOf(request);
  const facts = { code: error.code, method: request.method, path: pathOf(request.url), trace_id: traceId };
  if (error.code === 'INTERNAL_ERROR') logger.error({ ...facts, err: described(error.cause) }, 'request failed');
  else logger.warn({ ...facts, cause: described(error.cause).message }, error.message);
}

/** Not the error itself: drivers hang values of the request on theirs. */
function described(error: unknown): { type: string; message: string; stack?: string | undefined } {
  if (error instanceof Error) return { type: error.name, message: error.message, stack: error.stack };
  return { type: typeof error, message: String(error) };
}
