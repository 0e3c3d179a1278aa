import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ErrorCode } from '../errors.ts';
import { COMMANDS, SESSIONS } from './paths.ts';
import type { HttpMeter } from './ports.ts';
import { contextOf } from './request-context.ts';

const CLASSES = ['1xx', '2xx', '3xx', '4xx', '5xx'] as const;

/** To be called once for each answer, at its end; one that its client did not wait for has none. Streams last as long as somebody listens: they are not measured. */
export function measureAnswer(meter: HttpMeter | undefined, request: FastifyRequest, reply: FastifyReply): void {
  if (meter === undefined || contextOf(request).streaming) return;
  const status = CLASSES[Math.floor(reply.statusCode / 100) - 1] ?? '5xx';
  meter.answered(request.method, request.is404 ? null : (request.routeOptions.url ?? null), status, reply.elapsedTime);
}

/** To be called once for each error that is answered. Only commands are counted. */
export function measureRefusal(meter: HttpMeter | undefined, request: FastifyRequest, code: ErrorCode): void {
  if (meter === undefined || request.method !== 'POST' || request.is404) return;
  const { url } = request.routeOptions;
  if (url === SESSIONS) meter.refused('CreateSession', code);
  else if (url === COMMANDS) meter.refused(contextOf(request).commandType, code);
}
