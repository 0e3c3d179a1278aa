import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import type { Service } from '../service.ts';
import type { MetricsPage, ReadinessCheck } from './ports.ts';

export interface HealthServerOptions {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  /** By what the port is set. Default HEALTH_PORT. */
  readonly setting?: string;
  readonly readiness: () => readonly ReadinessCheck[];
  /** As for the API. */
  readonly metrics?: () => Promise<MetricsPage>;
  readonly logger: Logger;
}

export type HealthServer = Service & {
  /** Where it listens. @throws Error while it does not. */
  address(): string;
};

/** `/livez`, `/readyz` and `/metrics` of a process that has no API. Nothing else is answered. */
export function createHealthServer({
  host,
  port,
  setting,
  readiness,
  metrics,
  logger,
}: HealthServerOptions): HealthServer {
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
        answer(request.url ?? '', readiness, metrics).then(
          ({ status, contentType, body }) =>
            response.writeHead(status, { 'content-type': contentType, 'cache-control': 'no-store' }).end(body),
          (error: unknown) => {
            logger.error({ err: error }, 'health or metrics cannot be told');
            response.writeHead(500).end();
          },
        );
      });
      server.listen(port, host);
      try {
        await once(server, 'listening');
      } catch (error) {
        throw new Error(`The health server cannot listen on ${host}:${port}; set HOST or ${setting ?? 'HEALTH_PORT'}`, {
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

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

async function answer(
  url: string,
  readiness: HealthServerOptions['readiness'],
  metrics: HealthServerOptions['metrics'],
): Promise<Answer> {
  const [path] = url.split('?');
  if (path === '/livez') return json(200, { status: 'ok' });
  if (path === '/metrics' && metrics !== undefined) {
    const { contentType, text } = await metrics();
    return { status: 200, contentType, body: text };
  }
  if (path !== '/readyz') return json(404, { status: 'not found: /livez, /readyz and /metrics are here' });
  const checks = readiness();
  const ready = checks.every(({ ok }) => ok);
  return json(ready ? 200 : 503, { status: ready ? 'ready' : 'not ready', checks });
}

function json(status: number, body: unknown): Answer {
  return { status, contentType: 'application/json', body: JSON.stringify(body) };
}
