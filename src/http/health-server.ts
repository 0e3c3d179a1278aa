import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import type { Service } from '../service.ts';
import type { ReadinessCheck } from './ports.ts';

export interface HealthServerOptions {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  readonly readiness: () => readonly ReadinessCheck[];
  readonly logger: Logger;
}

export type HealthServer = Service & {
  /** Where it listens. @throws Error while it does not. */
  address(): string;
};

/** `/livez` and `/readyz` of a process that has no API. Nothing else is answered. */
export function createHealthServer({ host, port, readiness, logger }: HealthServerOptions): HealthServer {
  let server: Server | null = null;
  const address = () => {
    const bound = server?.address() as AddressInfo | null | undefined;
    if (bound === null || bound === undefined) throw new Error('The health server is not listening');
    return `http://${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`;
  };
  return {
    name: 'health',
    address,
    async start() {
      server = createServer((request, response) => {
        const { status, body } = answer(request.url ?? '', readiness);
        response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
        response.end(JSON.stringify(body));
      });
      server.listen(port, host);
      try {
        await once(server, 'listening');
      } catch (error) {
        throw new Error(`The health server cannot listen on ${host}:${port}; set HOST or HEALTH_PORT`, {
          cause: error,
        });
      }
      logger.info({ address: address() }, 'health is told');
    },
    async stop() {
      server?.closeAllConnections();
      server?.close();
      server = null;
      return Promise.resolve();
    },
  };
}

function answer(url: string, readiness: () => readonly ReadinessCheck[]): { status: number; body: unknown } {
  const [path] = url.split('?');
  if (path === '/livez') return { status: 200, body: { status: 'ok' } };
  if (path !== '/readyz') return { status: 404, body: { status: 'not found: /livez and /readyz are here' } };
  const checks = readiness();
  const ready = checks.every(({ ok }) => ok);
  return { status: ready ? 200 : 503, body: { status: ready ? 'ready' : 'not ready', checks } };
}
