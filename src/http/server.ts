import type { AddressInfo } from 'node:net';
import type { Service } from '../service.ts';
import { createApp, type HttpApp } from './app.ts';
import { DEFAULT_LIMITS, type HttpDependencies } from './ports.ts';

export type HttpServer = Service & {
  /** Where it listens, e.g. `http://127.0.0.1:8080`. @throws Error while it does not. */
  address(): string;
};

/** Milliseconds between looks, while stopping, for connections that have become idle. */
const IDLE_SWEEP = 20;

/**
 * The HTTP API as a service. `start` rejects when the address cannot be had. `stop` takes no more connections, lets answers in
 * flight end, closes each connection as it falls idle, and cuts what is left after the grace time (5 s unless limited otherwise).
 */
export function createHttpServer(dependencies: HttpDependencies): HttpServer {
  const { host, port } = dependencies.config;
  const grace = dependencies.limits?.stopGrace ?? DEFAULT_LIMITS.stopGrace;
  let starting: Promise<HttpApp> | null = null;
  let running: HttpApp | null = null;

  async function begin(): Promise<HttpApp> {
    const app = createApp(dependencies);
    try {
      // For the name `localhost` Fastify opens a second server of its own, which our limits would not reach.
      await app.fastify.listen({ host: host === 'localhost' ? '127.0.0.1' : host, port });
    } catch (error) {
      await app.fastify.close();
      throw new Error(`The API cannot listen on ${host}:${port}; set HOST or PORT`, { cause: error });
    }
    return app;
  }

  function address(): string {
    const bound = running?.fastify.server.address() as AddressInfo | null | undefined;
    if (bound === null || bound === undefined) throw new Error('The HTTP server is not listening');
    return `http://${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`;
  }

  return {
    name: 'http',
    address,
    async start() {
      if (starting !== null) throw new Error('The HTTP server is already started');
      starting = begin();
      try {
        running = await starting;
      } catch (error) {
        starting = null;
        throw error;
      }
      dependencies.logger.info({ address: address() }, 'listening');
    },
    async stop() {
      const app = await starting?.catch(() => null);
      if (app === null || app === undefined) return;
      await drain(app, grace);
      if (running === app) starting = running = null;
    },
  };
}

async function drain({ fastify, open }: HttpApp, grace: number): Promise<void> {
  // Tells clients not to use these connections again, so that none is closed under their next request.
  for (const answer of open) if (!answer.headersSent) answer.setHeader('connection', 'close');
  const sweep = setInterval(() => fastify.server.closeIdleConnections(), IDLE_SWEEP);
  const cut = setTimeout(() => fastify.server.closeAllConnections(), grace);
  try {
    await fastify.close();
  } finally {
    clearInterval(sweep);
    clearTimeout(cut);
  }
}
