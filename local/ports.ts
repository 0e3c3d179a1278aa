import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { errorCode, LocalInfrastructureError } from './local-infrastructure-error.ts';

export const LOOPBACK = '127.0.0.1';

// Below the ranges from which operating systems take the ports of outgoing connections (32768 on Linux, 49152
// elsewhere): a port that we remember must not be taken by somebody's browser tab before the next start.
const LOWEST = 20_000;
const HIGHEST = 32_000;
const TRIES = 200;

/** Whether a server could listen on this port of the loopback address now. */
function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => {
      const code = errorCode(error);
      if (code === 'EADDRINUSE' || code === 'EACCES') resolve(false);
      else reject(error);
    });
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * The configured port, or it refuses by name; else the remembered one if it is still free; else a free one.
 * `taken` are ports that were promised already but are not listened on yet.
 */
export async function choosePort(wish: {
  configured?: number | undefined;
  remembered?: number | undefined;
  variable: string;
  use: string;
  taken: Set<number>;
}): Promise<number> {
  const { configured, remembered, variable, use, taken } = wish;
  if (configured !== undefined) {
    if (taken.has(configured) || !(await isFree(configured))) {
      throw new LocalInfrastructureError(
        `Port ${configured}, which ${variable} asks for, cannot be had for ${use}: end what uses it, set ${variable} to another one, or unset it.`,
      );
    }
    taken.add(configured);
    return configured;
  }
  if (remembered !== undefined && !taken.has(remembered) && (await isFree(remembered))) {
    taken.add(remembered);
    return remembered;
  }
  return freePort(taken);
}

async function freePort(taken: Set<number>): Promise<number> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const port = randomInt(LOWEST, HIGHEST);
    if (!taken.has(port) && (await isFree(port))) {
      taken.add(port);
      return port;
    }
  }
  throw new LocalInfrastructureError(
    `No free port was found between ${LOWEST} and ${HIGHEST}: set LOCAL_POSTGRES_PORT and LOCAL_KAFKA_PORT.`,
  );
}
