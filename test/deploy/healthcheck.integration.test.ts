import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';

const SCRIPT = join(import.meta.dirname, '../../deploy/healthcheck.mjs');

/** The exit code of the health check and what it said. */
function check(path: string, env: Readonly<Record<string, string>>): Promise<{ code: number; said: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [SCRIPT, path], { env }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, said: stdout + stderr }),
    );
  });
}

describe('the health check of the image', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close().closeAllConnections();
  });

  async function listen(answer: (path: string) => number | null): Promise<string> {
    const server = createServer((request, response) => {
      const status = answer(request.url ?? '');
      if (status !== null) response.writeHead(status).end();
    });
    servers.push(server);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return String((server.address() as AddressInfo).port);
  }

  it.each(['PORT', 'HEALTH_PORT'])('is well when 200 is answered on %s, whatever the other one says', async (name) => {
    const port = await listen((path) => (path === '/readyz' ? 200 : 404));
    const nobody = await listen(() => 500);
    const env = { PORT: nobody, HEALTH_PORT: nobody, [name]: port };
    expect(await check('/readyz', env)).toEqual({ code: 0, said: '' });
  });

  it('is not when another status is answered, and tells which', async () => {
    const port = await listen(() => 503);
    expect(await check('/readyz', { PORT: port, HEALTH_PORT: port })).toEqual({ code: 1, said: '/readyz: 503\n' });
  });

  it('is not when nobody listens, or listens and says nothing', async () => {
    const mute = await listen(() => null);
    const closed = await listen(() => 200);
    servers.pop()?.close();
    const { code, said } = await check('/livez', { PORT: mute, HEALTH_PORT: closed });
    expect(code).toBe(1);
    expect(said).toContain(`port ${mute} does not answer within 2500 ms`);
    expect(said).toContain('ECONNREFUSED');
  });
});
