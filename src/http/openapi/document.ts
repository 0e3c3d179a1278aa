import swagger from '@fastify/swagger';
import type { FastifyInstance, FastifySchema } from 'fastify';
import { SessionParams } from '../schemas.ts';
import { componentSchemas } from './components.ts';
import { REQUEST_HEADERS, type Answer, type Json, type Operation } from './operation.ts';
import { operationOf } from './operations.ts';
import { headersOf, problemResponses } from './problems.ts';

/** Where the document is. */
export const OPENAPI = '/openapi.json';

const DESCRIPTION = `A novel is created session by session: an author sends commands, and each that is accepted becomes events that reach Kafka, none lost, in order.

Errors are \`application/problem+json\` (RFC 9457): rely on \`error_code\`. A path that does not exist is a 404 \`NOT_FOUND\`, and a method that does not work there a 405, before the token is looked at. Then the first fault is told, in this order: 401; 429; 413, 415, 400; 403; 404; 422 for the schema; the Idempotency-Key; 412; 409 for a duplicate; 409 for the session's state. After a 503 nothing was written; after a 504 that is not known.

Text may hold any character but NUL; half of a surrogate pair is no character. Both are 400.`;

const TAGS = [
  { name: 'sessions', description: 'Creating them, and their state' },
  { name: 'commands', description: 'Sending them, and where they are' },
  { name: 'events', description: 'What happened' },
  { name: 'operations', description: 'For operators: the outbox, the relays, and the audit trail' },
  { name: 'health', description: 'For whoever runs the service' },
];

/** An operation for which the generator has done its part. */
interface Described {
  readonly operationId: string;
  parameters?: readonly Json[];
  requestBody?: Json;
  responses: Json;
}

/**
 * Collects what the routes registered from now on say of themselves (their path, their query by the schema that judges it, their
 * name), adds what `operations.ts` says of that name, and answers GET /openapi.json with it (OpenAPI 3.1).
 */
export function registerOpenApi(app: FastifyInstance): void {
  app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Genesis',
        version: '1.0.0',
        description: DESCRIPTION,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } as { name: string },
      },
      servers: [{ url: '/', description: 'Where this document came from' }],
      tags: TAGS,
      security: [{ token: [] }],
      components: {
        securitySchemes: {
          token: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'JWT',
            description: '`sub` is the user, `roles` what they may',
          },
        },
        schemas: componentSchemas() as Record<string, object>,
      },
    },
    convertConstToEnum: false,
    transform: ({ schema, url }) => ({ schema: schemaFor(schema, url), url }),
    transformObject: (found) => {
      if (!('openapiObject' in found)) throw new Error('not an OpenAPI document');
      for (const path of Object.values(found.openapiObject.paths ?? {})) {
        for (const operation of Object.values(path as Readonly<Record<string, Described>>)) complete(operation);
      }
      return found.openapiObject;
    },
  });

  let text: string | null = null;
  app.register(async (scope) => {
    scope.get(OPENAPI, { schema: { hide: true } }, (_request, reply) => {
      text ??= JSON.stringify(app.swagger());
      return reply
        .header('content-type', 'application/json; charset=utf-8')
        .header('cache-control', 'no-cache')
        .header('x-content-type-options', 'nosniff')
        .send(text);
    });
  });
}

/** Only what the generator is good at: paths and parameters. The answers are told by `complete`. */
function schemaFor(schema: FastifySchema = {}, url: string): FastifySchema {
  if (schema.hide === true) return schema;
  const { operationId = '', querystring, params } = schema;
  const { tag, summary, description, open } = operationOf(operationId);
  const ofPath = url.includes(':session_id') ? SessionParams : undefined;
  const free = open === true ? { security: [] } : {};
  return { operationId, tags: [tag], summary, description, ...free, querystring, params: params ?? ofPath };
}

function complete(described: Described): void {
  const operation = operationOf(described.operationId);
  const headers = (operation.headers ?? []).map((name) => ({
    name,
    in: 'header',
    required: false,
    ...REQUEST_HEADERS[name],
  }));
  const parameters = [...(described.parameters ?? []), ...headers];
  if (parameters.length > 0) described.parameters = parameters;
  if (operation.body !== undefined) described.requestBody = operation.body;
  described.responses = responsesOf(operation);
}

function responsesOf(operation: Operation): Json {
  const answers = Object.entries(operation.answers).map(([status, answer]) => [status, responseOf(answer)] as const);
  return { ...Object.fromEntries(answers), ...problemResponses(operation) };
}

function responseOf({ description, content, headers, links }: Answer): Json {
  return {
    description,
    ...(headers === undefined ? {} : { headers: headersOf(headers) }),
    ...(content === undefined ? {} : { content }),
    ...(links === undefined ? {} : { links }),
  };
}
