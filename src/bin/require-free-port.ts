import { createServer } from 'node:net';
import type { HttpConfig } from '../config.ts';

/**
 * Tries the address of the API before anything else is started: a busy port is told at once, not after everything is up.
 *
 * @throws Error that says what is wrong and which variable mends it.
 */
export async function requireFreePort({ host, port }: Pick<HttpConfig, 'host' | 'port'>): Promise<void> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
  } catch (error) {
    throw explain(error, host, port);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

function explain(error: unknown, host: string, port: number): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'EADDRINUSE':
      return new Error(
        `port ${port} of ${host} is in use: set PORT to another one (0: any free one), or end what uses it`,
      );
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new Error(`${host} is no address of this machine: set HOST, for example to 127.0.0.1 or 0.0.0.0`);
    case 'EACCES':
      return new Error(`port ${port} needs privileges that this process does not have: set PORT to one from 1024`);
    default:
      return error;
  }
}
