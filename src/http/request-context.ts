import { randomUUID } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { CommandType } from '../genesis/commands.ts';
import type { CommandId, SessionId } from '../genesis/ids.ts';
import type { Place } from './door.ts';
import { pathOf } from './paths.ts';
import type { RequestTrace, RequestTracer } from './ports.ts';
import { parseTraceparent, type TraceContext } from './trace-context.ts';
import { unauthenticated, type Principal } from './tokens.ts';

/** What is known of a request besides what it says. */
export interface RequestContext {
  /** 32 hex digits: the caller's, else ours. */
  readonly traceId: string;
  /** What events carry on: W3C trace context of this request's own span when it is traced, else the caller's, or null. */
  readonly traceparent: string | null;
  /** The session that the request is for or creates, and its command, once they are known. For the log. */
  sessionId: SessionId | null;
  commandId: CommandId | null;
  /** Null until the token was judged, and on routes that need none. */
  principal: Principal | null;
  /** Null: it is no command for a session, or not known yet. */
  commandType: CommandType | null;
  /** It is answered by a stream of events. */
  streaming: boolean;
  /** Its place at the queue of commands, once it has one. */
  place: Place | null;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Use `contextOf`: it is there only once somebody asked for it. */
    genesis?: RequestContext;
  }
}

/** The context of a request, made at first need: an error can come before any hook has run. */
export function contextOf(request: FastifyRequest): RequestContext {
  if (request.genesis === undefined) {
    const caller = callersTrace(request);
    request.genesis = createContext(caller?.traceId ?? newTraceId(), caller?.traceparent ?? null);
  }
  return request.genesis;
}

/** Makes the request part of a trace, to be called before anybody has asked for its context. */
export function beginTrace(request: FastifyRequest, tracer: RequestTracer): RequestTrace {
  const trace = tracer.begin({
    method: request.method,
    route: request.is404 ? null : (request.routeOptions.url ?? null),
    path: pathOf(request.url),
    traceparent: callersTrace(request)?.traceparent ?? null,
  });
  request.genesis = createContext(trace.traceId, trace.traceparent);
  return trace;
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

function callersTrace({ headers }: FastifyRequest): TraceContext | null {
  const { traceparent } = headers;
  return parseTraceparent(typeof traceparent === 'string' ? traceparent : undefined);
}

function createContext(traceId: string, traceparent: string | null): RequestContext {
  return {
    traceId,
    traceparent,
    sessionId: null,
    commandId: null,
    principal: null,
    commandType: null,
    streaming: false,
    place: null,
  };
}
