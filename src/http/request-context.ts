import { randomUUID } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { CommandType } from '../genesis/commands.ts';
import { parseTraceparent } from './trace-context.ts';
import { unauthenticated, type Principal } from './tokens.ts';

/** What is known of a request besides what it says. */
export interface RequestContext {
  /** 32 hex digits: the caller's, else ours. */
  readonly traceId: string;
  /** The caller's W3C trace context, or null. */
  readonly traceparent: string | null;
  /** Null until the token was judged, and on routes that need none. */
  principal: Principal | null;
  /** Null: it is no command for a session, or not known yet. */
  commandType: CommandType | null;
  /** It is answered by a stream of events. */
  streaming: boolean;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Use `contextOf`: it is there only once somebody asked for it. */
    genesis?: RequestContext;
  }
}

/** The context of a request, made at first need: an error can come before any hook has run. */
export function contextOf(request: FastifyRequest): RequestContext {
  request.genesis ??= createContext(request.headers['traceparent']);
  return request.genesis;
}

/** Who sent the request. Only for routes behind `authenticate`. */
export function principalOf(request: FastifyRequest): Principal {
  const { principal } = contextOf(request);
  if (principal === null) throw unauthenticated('missing');
  return principal;
}

/** A trace id for a request that brought none. */
export function newTraceId(): string {
  return randomUUID().replaceAll('-', '');
}

function createContext(header: string | string[] | undefined): RequestContext {
  const trace = parseTraceparent(typeof header === 'string' ? header : undefined);
  return {
    traceId: trace?.traceId ?? newTraceId(),
    traceparent: trace?.traceparent ?? null,
    principal: null,
    commandType: null,
    streaming: false,
  };
}
