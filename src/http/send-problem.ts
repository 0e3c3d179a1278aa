import type { FastifyReply, FastifyRequest } from 'fastify';
import type { GenesisError } from '../errors.ts';
import { pathOf } from './paths.ts';
import { problemOf } from './problem.ts';
import { contextOf } from './request-context.ts';

/** Answers a request with an error, and tells the log nothing of it. */
export function sendProblem(error: GenesisError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = problemOf(error, { path: pathOf(request.url), traceId: contextOf(request).traceId });
  return reply.code(problem.status).headers(problem.headers).send(problem.body);
}
