import type { FastifyInstance } from 'fastify';
import { API } from './paths.ts';
import type { RequestTracer } from './ports.ts';
import { beginTrace, contextOf } from './request-context.ts';

/**
 * Makes requests of the API part of traces, from their arrival to the end of their answer. Probes, scrapes and documents are none: they
 * would be most of what there is to see. To be registered before all other hooks.
 */
export function traceRequests(app: FastifyInstance, tracer: RequestTracer): void {
  app.addHook('onRequest', (request, { raw }, done) => {
    if (request.url.startsWith(API)) {
      const trace = beginTrace(request, tracer);
      raw.once('close', () => {
        const { sessionId, commandId } = contextOf(request);
        trace.end({ status: raw.writableFinished ? raw.statusCode : null, sessionId, commandId });
      });
    }
    done();
  });
}
