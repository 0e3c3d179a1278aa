import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { OpenLoopLoad, type OpenLoopFigures, type OpenLoopPlan } from '../../benchmarks/api/open-loop-load.ts';

let server: Server | null = null;
const REQUEST = Buffer.from('POST /commands HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\n{}');

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function load(listener: RequestListener, plan: Partial<OpenLoopPlan>): Promise<OpenLoopFigures> {
  const listening = createServer(listener);
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`;
  const given = { rate: 200, seconds: 0.5, connections: 8, patience: 10_000, requests: [REQUEST] };
  const open = new OpenLoopLoad({ address, ...given, ...plan });
  await open.open();
  try {
    return await open.run();
  } finally {
    open.close();
  }
}

test('all are sent and their answers counted by status', async () => {
  let count = 0;
  const figures = await load(
    (request, response) => {
      request.resume();
      count += 1;
      response.statusCode = count % 4 === 0 ? 503 : 200;
      response.end('{}');
    },
    { connections: 64 },
  );
  expect(figures).toMatchObject({ asked: 100, sent: 100, answers: { 200: 75, 503: 25 }, late: 0 });
  const [accepted, refused] = [figures.accepted.count, figures.refused.count];
  expect([accepted, refused]).toEqual([75, 25]);
});

test('those that had to wait while the server stood still count from when they were due', async () => {
  // The first answer takes 400 ms on the only connection: a closed loop would tell of one slow request among the quick.
  let first = true;
  const figures = await load(
    (request, response) => {
      request.resume();
      setTimeout(() => response.end('{}'), first ? 400 : 0);
      first = false;
    },
    { connections: 1, rate: 100 },
  );
  expect(figures.answers).toEqual({ 200: 50 });
  expect(figures.generator.waited).toBeGreaterThan(30);
  expect(figures.latency.p50).toBeGreaterThan(100);
});

test('a request without an answer counts, with the time it has waited', async () => {
  const figures = await load(() => {}, { connections: 4, rate: 20, patience: 100 });
  expect(figures.answers).toEqual({ unanswered: 4, unsent: 6 });
  expect(figures.latency.count).toBe(10);
  expect(figures.latency.max).toBeGreaterThan(2_000);
});

test('an answer after the deadline is late; a connection that breaks is told, and replaced', async () => {
  let count = 0;
  const figures = await load(
    (request, response) => {
      request.resume();
      count += 1;
      if (count === 1) request.socket.destroy();
      else setTimeout(() => response.end('{}'), 60);
    },
    { connections: 2, rate: 20, patience: 50, seconds: 0.2 },
  );
  expect(figures.answers['broken']).toBe(1);
  expect(figures.problems).toEqual(['closed by the API']);
  expect(figures.late).toBe(figures.answers['200']);
  expect(figures.late).toBeGreaterThanOrEqual(2);
  expect(figures.latest).toBeGreaterThanOrEqual(60);
});

test('an answer in pieces, and one that closes its connection, are answers', async () => {
  const figures = await load(
    (request, response) => {
      request.resume();
      response.writeHead(200, { 'content-length': 4, connection: 'close' });
      response.write('{');
      setImmediate(() => response.end('}  '));
    },
    { connections: 2 },
  );
  expect(figures.answers).toEqual({ 200: 100 });
});
