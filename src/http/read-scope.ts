import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyBaseLogger, FastifyInstance, FastifyTypeProvider, RawServerDefault } from 'fastify';
import type { Static, TSchema } from 'typebox';
import { compileRequestValidator } from './request-validator.ts';

/** Tells Fastify which type a schema stands for. */
interface SchemaTypes extends FastifyTypeProvider {
  validator: this['schema'] extends TSchema ? Static<this['schema']> : unknown;
  serializer: this['schema'] extends TSchema ? Static<this['schema']> : unknown;
}

/** A part of the API whose requests are typed by the schemas that validate them. */
export type ReadScope = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  SchemaTypes
>;

/** Registers routes that only read: strict about what is asked, and not to be kept by caches that others share. */
export function registerReads(app: FastifyInstance, register: (reads: ReadScope) => void): void {
  app.register(async (scope) => {
    scope.setValidatorCompiler(compileRequestValidator);
    // The compiler checks that bodies fit their schemas; a serializer that drops what does not would only hide a defect.
    scope.setSerializerCompiler(() => (body) => JSON.stringify(body));
    scope.addHook('preHandler', async (_request, reply) => {
      reply.header('cache-control', 'private, no-cache').header('x-content-type-options', 'nosniff');
    });
    register(scope.withTypeProvider<SchemaTypes>());
  });
}
