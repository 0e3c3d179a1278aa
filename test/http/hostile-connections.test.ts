import { describe, expect, it, onTestFinished } from 'vitest';
import { createHttpServer } from '../../src/http/server.ts';
import type { HttpLimits } from '../../src/http/ports.ts';
import { COMMANDS, createApi, FEEDBACK, SESSIONS, tokenOf } from './api-harness.ts';
import { connectRaw } from './raw-connection.ts';

/** Times that a test can wait for; Node looks for slow requests once a second. */
const SHORT = { headersTimeout: 300, receiveTimeout: 600, keepAliveTimeout: 30_000 };

async function start(limits: Partial<HttpLimits> = SHORT) {
  const { dependencies, requests } = createApi({ limits });
  const server = createHttpServer(dependencies);
  // Called last: connections are gone by then.
  onTestFinished(() => server.stop());
  await server.start();
  return { port: Number(new URL(server.address()).port), requests };
}

const BODY = JSON.stringify(FEEDBACK);
const LENGTH = `Content-Length: ${BODY.length}\r\n`;
const CHUNKED = 'Transfer-Encoding: chunked\r\n';
const ONE_CHUNK = `${BODY.length.toString(16)}\r\n${BODY}\r\n`;
const LIVEZ = 'GET /livez HTTP/1.1\r\nHost: x\r\n';
const CLOSE = 'Connection: close\r\n';
const posting = async (headers: string, target = COMMANDS) =>
  `POST ${target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
  `Authorization: Bearer ${await tokenOf('alice')}\r\n${headers}\r\n`;

/** The statuses of the answers, in their order. */
const statusesIn = (text: string) => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));
/** The body of the last answer. */
const bodyIn = (text: string) => JSON.parse(text.slice(text.lastIndexOf('\r\n\r\n'))) as Record<string, unknown>;

describe('what is not HTTP/1.1 as it should be is a 400, at once, and reaches nobody', () => {
  it.each<[string, string | (() => Promise<string>)]>([
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a TLS handshake', '\u0016\u0003\u0001\u0002\0\u0001'],
    ['a method in lower case', 'get /livez HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a target with a space', 'GET /li vez HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a target that is an authority', 'GET x:80 HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['lines that end in LF', 'GET /livez HTTP/1.1\nHost: x\n\n'],
    ['lines that end in CR', 'GET /livez HTTP/1.1\rHost: x\r\r'],
    ['a folded header', `${LIVEZ}X: y\r\n z\r\n\r\n`],
    ['a space before the colon', `${LIVEZ}X : y\r\n\r\n`],
    ['two hosts', `${LIVEZ}${CLOSE}Host: y\r\n\r\n`],
    ['the same host twice', `${LIVEZ}${CLOSE}host: x\r\n\r\n`],
    ['a host that is none', `GET /livez HTTP/1.1\r\nHost: x/y\r\n${CLOSE}\r\n`],
    ['a host with a login', `GET /livez HTTP/1.1\r\nHost: a@b\r\n${CLOSE}\r\n`],
    ['a length below zero', () => posting('Content-Length: -1\r\n')],
    ['a length with a sign', async () => `${await posting('Content-Length: +1\r\n')}x`],
    ['a list of lengths', async () => `${await posting('Content-Length: 1, 1\r\n')}x`],
    ['a length beyond all bounds', () => posting(`Content-Length: ${'9'.repeat(23)}\r\n`)],
    ['two different lengths', () => posting(`${LENGTH}Content-Length: 1\r\n`)],
    ['a length after chunks', async () => `${await posting(`${CHUNKED}${LENGTH}`)}${ONE_CHUNK}0\r\n\r\n`],
    ['chunks twice', async () => `${await posting(CHUNKED + CHUNKED)}0\r\n\r\n`],
    ['an encoding around chunks', async () => `${await posting('Transfer-Encoding: gzip, chunked\r\n')}0\r\n\r\n`],
    ['an encoding behind chunks', async () => `${await posting('Transfer-Encoding: chunked, x\r\n')}0\r\n\r\n`],
    ['an encoding that is almost chunks', async () => `${await posting('Transfer-Encoding: xchunked\r\n')}0\r\n\r\n`],
    ['a chunk beyond all bounds', async () => `${await posting(CHUNKED)}${'F'.repeat(17)}\r\n`],
    ['a chunk whose size ends in LF', async () => `${await posting(CHUNKED)}${ONE_CHUNK.replace('\r', '')}0\r\n\r\n`],
  ])('%s', async (_what, text) => {
    const { port, requests } = await start();
    const answer = await (await connectRaw(port, typeof text === 'string' ? text : await text())).closed;
    expect(statusesIn(answer)).toStrictEqual([400]);
    expect(bodyIn(answer)).toMatchObject({ status: 400, error_code: 'MALFORMED_REQUEST' });
    expect(requests).toStrictEqual([]);
  });

  it.each([
    ['headers', `${LIVEZ}${Array.from({ length: 2_000 }, (_, index) => `a${index}: 1\r\n`).join('')}\r\n`],
    ['a trailer', async () => `${await posting(CHUNKED)}${ONE_CHUNK}0\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`],
  ])('%s without end: 431', async (_what, text) => {
    const { port, requests } = await start();
    const answer = await (await connectRaw(port, typeof text === 'string' ? text : await text())).closed;
    expect(bodyIn(answer)).toMatchObject({ status: 431, error_code: 'MALFORMED_REQUEST' });
    expect(requests).toStrictEqual([]);
  });
});

describe('what is unusual but right is answered', () => {
  it.each<[string, string | (() => Promise<string>), number]>([
    ['a target with a host (absolute form)', `GET http://x/livez HTTP/1.1\r\nHost: x\r\n${CLOSE}\r\n`, 200],
    ['an absolute form that takes other methods', `PUT http://x/livez HTTP/1.1\r\nHost: x\r\n${CLOSE}\r\n`, 405],
    ['an absolute form of nothing', `GET http://evil.example/a?b HTTP/1.1\r\nHost: x\r\n${CLOSE}\r\n`, 404],
    ['an absolute form that is not signed in', `GET http://x${SESSIONS} HTTP/1.1\r\nHost: x\r\n${CLOSE}\r\n`, 401],
    ['an empty host', `GET /livez HTTP/1.1\r\nHost:\r\n${CLOSE}\r\n`, 200],
    ['an IPv6 host', `GET /livez HTTP/1.1\r\nHost: [::1]:8080\r\n${CLOSE}\r\n`, 200],
    ['HTTP/1.0 without a host', 'GET /livez HTTP/1.0\r\n\r\n', 200],
    ['empty lines before', `\r\n\r\n${LIVEZ}${CLOSE}\r\n`, 200],
    ['an upgrade that nobody follows', `${LIVEZ}Upgrade: websocket\r\n${CLOSE}\r\n`, 200],
    ['a body where none is read', `${LIVEZ}${CLOSE}Content-Length: 5\r\n\r\nhello`, 200],
    ['an expectation that means nothing', async () => (await posting(`${CLOSE}Expect: x\r\n${LENGTH}`)) + BODY, 200],
    [
      'a trailer that would be a token',
      async () => `${await posting(`${CLOSE}${CHUNKED}`)}${ONE_CHUNK}0\r\nAuthorization: Bearer x\r\n\r\n`,
      200,
    ],
    [
      'a trailer instead of a token',
      async () =>
        `POST ${COMMANDS} HTTP/1.1\r\nHost: x\r\n${CLOSE}${CHUNKED}\r\n${ONE_CHUNK}0\r\n` +
        `Authorization: Bearer ${await tokenOf('alice')}\r\n\r\n`,
      401,
    ],
  ])('%s', async (_what, text, status) => {
    const { port } = await start();
    const answer = await (await connectRaw(port, typeof text === 'string' ? text : await text())).closed;
    expect(statusesIn(answer)).toStrictEqual([status]);
    if (status >= 400) expect(bodyIn(answer)).toMatchObject({ status, instance: expect.stringMatching(/^\//) });
  });

  it('a tunnel is not', async () => {
    const { port } = await start();
    expect(await (await connectRaw(port, 'CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n')).closed).toBe('');
  });
});

describe('Expect: 100-continue', () => {
  const expecting = (length: string) => posting(`Expect: 100-continue\r\n${length}`);

  it('is told to go on, and answered when it has', async () => {
    const { port } = await start();
    const connection = await connectRaw(port, await expecting(LENGTH));
    await expect.poll(connection.text).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    connection.socket.write(BODY);
    await expect.poll(() => statusesIn(connection.text())).toStrictEqual([100, 200]);
  });

  it('is a 413 for a body that is too large', async () => {
    const { port } = await start();
    const answer = await (await connectRaw(port, await expecting('Content-Length: 999999\r\n'))).closed;
    expect(statusesIn(answer)).toStrictEqual([100, 413]);
  });

  it('is a 408 when the body does not follow', async () => {
    const { port, requests } = await start();
    expect(statusesIn(await (await connectRaw(port, await expecting(LENGTH))).closed)).toStrictEqual([100, 408]);
    expect(requests).toStrictEqual([]);
  });
});

describe('a request that was refused before its body came', () => {
  it.each([
    ['no token', `POST ${COMMANDS} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{`, 401],
    ['nothing there', 'POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{', 404],
  ])('has its answer, and gets no second one when the rest does not come: %s', async (_what, text, status) => {
    const { port } = await start();
    expect(statusesIn(await (await connectRaw(port, text)).closed)).toStrictEqual([status]);
  });

  it('may be finished, and another one sent', async () => {
    const { port } = await start({ ...SHORT, receiveTimeout: 30_000 });
    const text = `POST ${COMMANDS} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n`;
    const connection = await connectRaw(port, text);
    await expect.poll(() => statusesIn(connection.text())).toStrictEqual([401]);
    connection.socket.write(`123456789${LIVEZ}\r\n`);
    await expect.poll(() => statusesIn(connection.text())).toStrictEqual([401, 200]);
    connection.socket.write('garbage\r\n\r\n');
    expect(statusesIn(await connection.closed)).toStrictEqual([401, 200, 400]);
  });
});

describe('several requests at once on a connection', () => {
  it('are answered in their order', async () => {
    const { port } = await start();
    const answer = await (
      await connectRaw(port, `${LIVEZ}\r\nGET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n${LIVEZ}${CLOSE}\r\n`)
    ).closed;
    expect(statusesIn(answer)).toStrictEqual([200, 404, 200]);
  });

  it('with garbage behind the first: nothing is answered in its place', async () => {
    const { port } = await start();
    const answer = await (await connectRaw(port, `${await posting(LENGTH)}${BODY}garbage\r\n\r\n`)).closed;
    expect([[], [200]]).toContainEqual(statusesIn(answer));
  });
});

describe('who is slow', () => {
  /** Sends a byte again and again: no single wait is long. */
  async function drip(port: number, text: string, byte: string): Promise<string> {
    const connection = await connectRaw(port, text);
    const dripping = setInterval(() => connection.socket.write(byte), 20);
    return connection.closed.finally(() => clearInterval(dripping));
  }

  it.each<[string, () => Promise<string>, string]>([
    ['headers', async () => `${LIVEZ}X: `, 'y'],
    ['a target', async () => 'GET /', 'y'],
    ['a body', () => posting('Content-Length: 200000\r\n'), ' '],
    ['chunks', () => posting(CHUNKED), '1\r\n \r\n'],
    ['a trailer', async () => `${await posting(CHUNKED)}${ONE_CHUNK}0\r\nX: `, 'y'],
  ])('with %s, byte by byte, is a 408', async (_what, text, byte) => {
    const { port, requests } = await start();
    const answer = await drip(port, await text(), byte);
    expect(bodyIn(answer)).toMatchObject({ status: 408, error_code: 'MALFORMED_REQUEST' });
    expect(requests).toStrictEqual([]);
  });
});

describe('too many connections', () => {
  it('are closed at once, and there is room again when one has gone', async () => {
    const { port } = await start({ ...SHORT, headersTimeout: 30_000, connections: 2 });
    const first = await connectRaw(port, `${LIVEZ}\r\n`);
    await connectRaw(port, LIVEZ);
    await expect.poll(() => statusesIn(first.text())).toStrictEqual([200]);
    const tries = async () => {
      const connection = await connectRaw(port, `${LIVEZ}${CLOSE}\r\n`).catch(() => null);
      return statusesIn((await connection?.closed) ?? '');
    };
    expect(await tries()).toStrictEqual([]);
    first.socket.destroy();
    await expect.poll(tries).toStrictEqual([200]);
  });
});
