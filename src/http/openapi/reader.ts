import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';

/** Where a person reads the document. */
const DOCS = '/docs';

/** All of it comes from here; nothing may be fetched from elsewhere, framed, or sent anywhere but to this API. */
const POLICY = {
  'default-src': "'none'",
  'base-uri': "'none'",
  'connect-src': "'self'",
  'font-src': "'self'",
  'form-action': "'none'",
  'frame-ancestors': "'none'",
  'img-src': "'self' data:",
  'script-src': "'self'",
  'style-src': "'self' 'unsafe-inline'",
};

/** Serves Swagger UI from our own files: it works without an internet, and tells nobody that it is used. */
export function registerReader(app: FastifyInstance): void {
  app.register(swaggerUi, {
    routePrefix: DOCS,
    staticCSP: POLICY,
    theme: { title: 'Genesis API' },
    uiConfig: {
      // Its default asks a server of its makers what it thinks of the document.
      validatorUrl: null,
      // Without the bar on top, which is for choosing among documents.
      layout: 'BaseLayout',
      docExpansion: 'list',
      deepLinking: true,
      tryItOutEnabled: true,
    },
  });
}
