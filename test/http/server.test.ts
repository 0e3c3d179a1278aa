import { once } from 'node:events';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { CommandOutcome } from '../../src/commands/ports.ts';
import { GenesisError } from '../../src/errors.ts';
import type { HttpDependencies, HttpLimits } from '../../src/http/ports.ts';
import { createApp } from '../../src/http/app.ts';
import { createHttpServer, type HttpServer } from '../../src/http/server.ts';
import { acceptance, COMMANDS, createApi, FEEDBACK, HTTP, SESSIONS, tokenOf, type LogLine } from './api-harness.ts';
import { connectRaw as raw } from './raw-connection.ts';

interface Running {
  readonly server: HttpServer;
  readonly url: string;
  readonly port: number;
  readonly lines: LogLine[];
}

async function start(changes: Partial<HttpDependencies> = {}): Promise<Running> {
  const { dependencies, log } = createApi(changes);
  const server = createHttpServer(dependencies);
  onTestFinished(() => server.stop());
  await server.start();
  const url = server.address();
  return { server, url, port: Number(new URL(url).port), lines: log.lines };
}

const json = { 'content-type': 'application/json' };
const sendFeedback = async (url: string, body: string = JSON.stringify(FEEDBACK)) =>
  fetch(url + COMMANDS, {
    method: 'POST',
    body,
    headers: { ...json, authorization: `Bearer ${await tokenOf('alice')}` },
  });

const problemIn = (text: string) => JSON.parse(text.slice(text.indexOf('\r\n\r\n'))) as Record<string, unknown>;

describe('a server over real sockets', () => {
  it('answers commands, and logs one line for each: who, what, how long; no token, body or query', async () => {
    const { url, lines } = await start();
    const answer = await fetch(`${url}${COMMANDS}?q=s3cret`, {
      method: 'POST',
      body: JSON.stringify({ command_type: 'SubmitFeedback', payload: { feedback: 's3cret' } }),
      headers: { ...json, authorization: `Bearer ${await tokenOf('alice')}`, 'idempotency-key': 's3cret' },
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('etag')).toBe('"1"');
    const logged = lines.filter(({ msg }) => msg === 'request');
    expect(logged).toMatchObject([
      { level: 20, method: 'POST', route: `${SESSIONS}/:session_id/commands`, status: 200, user_id: 'alice' },
    ]);
    expect(logged[0]?.['trace_id']).toMatch(/^[0-9a-f]{32}$/);
    expect(typeof logged[0]?.['ms']).toBe('number');
    expect(JSON.stringify(lines)).not.toMatch(/s3cret|eyJ/);
  });

  it.each<[string, Error, Partial<LogLine>]>([
    ['a defect', new Error('x'), { level: 50, status: 500, code: 'INTERNAL_ERROR', user_id: 'a' }],
    ['an absence', new GenesisError('UNAVAILABLE', 'away'), { level: 40, status: 503, msg: 'away', user_id: 'a' }],
  ])('logs one line above debug when it failed by %s', async (_what, error, line) => {
    const api = createApi({ commands: { execute: () => Promise.reject(error) } });
    const call = async () =>
      api.fastify.inject({
        url: SESSIONS,
        method: 'POST',
        headers: { ...json, authorization: `Bearer ${await tokenOf('a')}` },
        payload: '{}',
      });
    await call();
    expect(api.log.lines.map(({ level }) => level)).toStrictEqual([line.level, 20]);
    expect(api.log.text()).not.toContain('undefined');
    api.log.lines.length = 0;
    api.log.logger.level = 'info';
    await call();
    expect(api.log.lines).toMatchObject([line]);
  });

  it('tells an unauthenticated client how to authenticate', async () => {
    const { url } = await start();
    const none = await fetch(url + SESSIONS, { method: 'POST' });
    expect(none.status).toBe(401);
    expect(none.headers.get('www-authenticate')).toBe('Bearer realm="genesis"');
    const bad = await fetch(url + SESSIONS, { method: 'POST', headers: { authorization: 'Bearer s3.cr.et' } });
    expect(bad.headers.get('www-authenticate')).toBe(
      'Bearer realm="genesis", error="invalid_token", error_description="malformed"',
    );
    const body = await bad.text();
    expect(JSON.parse(body)).toMatchObject({ error_code: 'UNAUTHENTICATED', reason: 'malformed' });
    expect(body).not.toContain('s3.cr.et');
  });

  it('refuses two Authorization headers, of which Node would keep the first', async () => {
    const { port } = await start();
    const header = `Authorization: Bearer ${await tokenOf('alice')}\r\n`;
    const get = (headers: string) =>
      raw(port, `GET ${COMMANDS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${headers}\r\n`);
    const path = `GET ${SESSIONS}/01890a5d-ac96-774b-bcce-b302099a8057 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n`;
    expect(await (await raw(port, `${path}${header}\r\n`)).closed).toContain('HTTP/1.1 200');
    expect(await (await raw(port, `${path}${header}aUTHORIZATION: x\r\n\r\n`)).closed).toContain('HTTP/1.1 401');
    expect(await (await get(header)).closed).toContain('HTTP/1.1 200');
  });

  it('refuses a body beyond its limit, declared or found', async () => {
    const { url } = await start();
    expect((await sendFeedback(url, 'x'.repeat(262_145))).status).toBe(413);
    const stream = new Blob(['x'.repeat(262_145)]).stream();
    const headers = { ...json, authorization: `Bearer ${await tokenOf('alice')}` };
    const answer = await fetch(url + COMMANDS, {
      method: 'POST',
      body: stream,
      headers,
      duplex: 'half',
    });
    expect(answer.status).toBe(413);
    expect(await answer.json()).toMatchObject({ error_code: 'PAYLOAD_TOO_LARGE' });
  });

  it.each([
    ['no HTTP', 'hello\r\n\r\n', 400],
    ['a version that is none', 'GET / HTTP/9.9\r\nHost: x\r\n\r\n', 400],
    ['no Host', 'GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
    [
      'a length and chunks',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
    ],
    ['a NUL in a header', 'GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n', 400],
    ['headers too long', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
    ['a URL too long', `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431],
  ])('answers %s with a problem and hangs up', async (_what, text, status) => {
    const { port } = await start();
    const answer = await (await raw(port, text)).closed;
    expect(answer).toContain(`HTTP/1.1 ${status} `);
    expect(answer.toLowerCase()).toContain('content-type: application/problem+json');
    expect(problemIn(answer)).toMatchObject({ status, error_code: 'MALFORMED_REQUEST' });
  });

  const posting = async (headers: string) =>
    `POST ${COMMANDS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
    `Authorization: Bearer ${await tokenOf('alice')}\r\n${headers}\r\n`;

  it('answers a broken body that is still on its way', async () => {
    const { port } = await start();
    const answer = await (await raw(port, `${await posting('Transfer-Encoding: chunked\r\n')}zz\r\n`)).closed;
    expect(problemIn(answer)).toMatchObject({ status: 400 });
    const long = `${await posting('Transfer-Encoding: chunked\r\n')}1;${'x'.repeat(20_000)}\r\n{`;
    expect(problemIn(await (await raw(port, long)).closed)).toMatchObject({ status: 413 });
  });

  it('never answers a broken second request in the place of the first, which may be committed', async () => {
    const arrived = Promise.withResolvers<undefined>();
    const never = Promise.withResolvers<CommandOutcome>();
    const execute = () => {
      arrived.resolve(undefined);
      return never.promise;
    };
    const { port } = await start({ commands: { execute }, limits: { stopGrace: 50 } });
    const body = JSON.stringify(FEEDBACK);
    const connection = await raw(port, `${await posting(`Content-Length: ${body.length}\r\n`)}${body}`);
    await arrived.promise;
    connection.socket.write('garbage\r\n\r\n');
    expect(await connection.closed).toBe('');
  });

  it('survives a client that goes away in the middle of its body', async () => {
    const { port, url, lines } = await start();
    const connection = await raw(port, `${await posting('Content-Length: 100\r\n')}{"a`);
    connection.socket.destroy();
    await connection.closed;
    expect((await sendFeedback(url)).status).toBe(200);
    expect(lines.filter(({ level }) => level >= 40)).toStrictEqual([]);
  });

  const slow: Partial<HttpLimits> = { headersTimeout: 300, receiveTimeout: 600 };
  it.each([
    ['headers', 'GET /livez HTTP/1.1\r\nHost: x\r\n'],
    ['a body', 'POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n'],
    ['nothing at all', ''],
  ])('hangs up on who sends %s too slowly', async (_what, text) => {
    const { port } = await start({ limits: slow });
    expect(problemIn(await (await raw(port, text)).closed)).toMatchObject({
      status: 408,
      error_code: 'MALFORMED_REQUEST',
    });
  });

  it('hangs up on a slow body', async () => {
    const { port } = await start({ limits: slow });
    const connection = await raw(port, `${await posting('Content-Length: 9\r\n')}{`);
    expect(problemIn(await connection.closed)).toMatchObject({ status: 408 });
  });

  it('hangs up on idle connections', async () => {
    const { port } = await start({ limits: { keepAliveTimeout: 50 } });
    const answer = await (await raw(port, 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n')).closed;
    expect(answer).toContain('HTTP/1.1 200');
  });
});

it('forgets each answer once it has ended: memory has a bound', async () => {
  const { fastify, open } = createApp(createApi().dependencies);
  const url = await fastify.listen({ host: '127.0.0.1', port: 0 });
  for (let count = 0; count < 20; count += 1) await (await fetch(`${url}/livez`)).text();
  await expect.poll(() => open.size).toBe(0);
  await fastify.close();
});

describe('starting', () => {
  it('listens where it says', async () => {
    const { url, server } = await start({ config: { ...HTTP, host: 'localhost' } });
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect((await fetch(`${url}/livez`)).status).toBe(200);
    // Fastify would open a second server for this name, which no limit of ours reaches.
    await expect(fetch(`http://[::1]:${new URL(url).port}/livez`)).rejects.toThrow();
    expect(server.name).toBe('http');
    await expect(server.start()).rejects.toThrow(/already started/);
  });

  it('speaks IPv6', async () => {
    const { url } = await start({ config: { ...HTTP, host: '::1' } });
    expect(url).toMatch(/^http:\/\/\[::1\]:\d+$/);
    expect((await fetch(`${url}/livez`)).status).toBe(200);
  });

  it('names what to mend when the port is taken, leaves nothing behind, and can be tried again', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const server = createHttpServer(createApi({ config: { ...HTTP, port } }).dependencies);
    await expect(server.start()).rejects.toThrow(`127.0.0.1:${port}; set HOST or PORT`);
    expect(() => server.address()).toThrow(/not listening/);
    await server.stop();
    other.close();
    await once(other, 'close');
    await server.start();
    onTestFinished(() => server.stop());
    expect((await fetch(`${server.address()}/livez`)).status).toBe(200);
  });
});

describe('stopping', () => {
  /** A command service that answers when told. */
  function heldCommands() {
    const arrived = Promise.withResolvers<undefined>();
    const release = Promise.withResolvers<undefined>();
    const execute: HttpDependencies['commands']['execute'] = async (request) => {
      arrived.resolve(undefined);
      await release.promise;
      return acceptance(request);
    };
    return { commands: { execute }, arrived: arrived.promise, release: () => release.resolve(undefined) };
  }

  it('does nothing when nothing was started', async () => {
    await createHttpServer(createApi().dependencies).stop();
  });

  it('waits for a start in progress', async () => {
    const server = createHttpServer(createApi().dependencies);
    const starting = server.start();
    await Promise.all([starting, server.stop()]);
    expect(() => server.address()).toThrow(/not listening/);
  });

  it('finishes what is in flight, takes nothing new, says so, may be called twice, and lets it start again', async () => {
    const held = heldCommands();
    const { server, url, port } = await start({ commands: held.commands });
    const answer = sendFeedback(url);
    await held.arrived;
    let stopped = false;
    const stopping = Promise.all([server.stop(), server.stop()]).then(() => {
      stopped = true;
    });
    const connecting = () =>
      raw(port).then(
        () => 'connected',
        (error: unknown) => (error instanceof Error && 'code' in error ? error.code : error),
      );
    await expect.poll(connecting).toBe('ECONNREFUSED');
    expect(stopped).toBe(false);
    held.release();
    expect((await answer).status).toBe(200);
    expect((await answer).headers.get('connection')).toBe('close');
    await stopping;
    await server.start();
    expect((await fetch(`${server.address()}/livez`)).status).toBe(200);
  });

  it('answers a request of which a part had come before, in our own terms', async () => {
    const held = heldCommands();
    const { server, port, url } = await start({ commands: held.commands });
    const begun = await raw(port, 'GET /livez HTTP/1.1\r\nHost: x\r\n');
    const busy = sendFeedback(url);
    await held.arrived;
    const stopping = server.stop();
    await expect
      .poll(() =>
        raw(port).then(
          () => 'connected',
          () => 'refused',
        ),
      )
      .toBe('refused');
    begun.socket.write('\r\n');
    const answer = await begun.closed;
    expect(answer).toContain('HTTP/1.1 200');
    expect(answer.toLowerCase()).toContain('connection: close');
    held.release();
    await busy;
    await stopping;
  });

  it('closes idle connections at once, and those that fall idle', async () => {
    const held = heldCommands();
    const { server, port, url } = await start({ commands: held.commands, limits: { stopGrace: 20_000 } });
    const idle = await raw(port, 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
    await expect.poll(idle.text).toContain('200');
    const busy = sendFeedback(url);
    await held.arrived;
    const stopping = server.stop();
    await idle.closed;
    held.release();
    expect((await busy).status).toBe(200);
    await stopping;
  });

  it('answers a request that arrives on an open connection, and closes that', async () => {
    const held = heldCommands();
    const { server, url } = await start({ commands: held.commands });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const body = JSON.stringify(FEEDBACK);
    const headers = { ...json, authorization: `Bearer ${await tokenOf('alice')}`, 'content-length': body.length };
    const sent = httpRequest(url + COMMANDS, { method: 'POST', headers, agent });
    sent.flushHeaders();
    await once(sent, 'socket');
    await fetch(`${url}/livez`);
    const stopping = server.stop();
    sent.end(body);
    await held.arrived;
    held.release();
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    expect(answer.statusCode).toBe(200);
    expect(answer.headers.connection).toBe('close');
    answer.resume();
    await stopping;
    agent.destroy();
  });

  it('cuts what does not end within the grace time', async () => {
    const held = heldCommands();
    const { server, url, port } = await start({ commands: held.commands, limits: { stopGrace: 100 } });
    const answer = sendFeedback(url).then(
      () => 'answered',
      () => 'cut',
    );
    const halfSent = await raw(port, 'GET /livez HTT');
    await held.arrived;
    await server.stop();
    expect(await answer).toBe('cut');
    await halfSent.closed;
    held.release();
  });
});
