import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { createRelayGroup } from '../../src/postgres/relay-group.ts';
import {
  ConnectionLost,
  openWatchedConnection,
  type WatchedConnection,
} from '../../src/postgres/watched-connection.ts';
import { DatabaseWakeup } from '../../src/postgres/wakeup.ts';
import { startTcpProxy } from '../relay/tcp-proxy.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
const OPTIONS = { applicationName: 'genesis-watched', callTimeout: 5_000, heartbeatInterval: 1_000 };

beforeAll(async () => {
  database = await createTestDatabase();
});

/** A server behind a black hole: it takes connections and whatever is sent, and says nothing. Resolves with its address. */
async function silentServer(onConnection: () => void): Promise<string> {
  const server = createServer((socket) => {
    socket.resume().on('error', () => {});
    onConnection();
    onTestFinished(() => void socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `postgres://nobody@127.0.0.1:${(server.address() as AddressInfo).port}/none`;
}

afterAll(async () => {
  await database.drop();
});

async function open(url: string): Promise<WatchedConnection> {
  const connection = await openWatchedConnection(url, OPTIONS);
  onTestFinished(() => connection.close());
  return connection;
}

/** In the messages of the server the severity is translated, as lc_messages = 'de_DE' makes it where that is installed. */
function inGerman(data: Buffer): Buffer {
  const at = data.indexOf('SERROR\0');
  if (at < 5) return data;
  const length = Buffer.alloc(4);
  length.writeInt32BE(data.readInt32BE(at - 4) + 'FEHLER'.length - 'ERROR'.length);
  return Buffer.concat([
    data.subarray(0, at - 4),
    length,
    Buffer.from('SFEHLER\0'),
    data.subarray(at + 'SERROR\0'.length),
  ]);
}

/** The address of the database by way of a link on which the server speaks German. */
async function germanServer(): Promise<string> {
  const target = new URL(database.url);
  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname);
    near.on('data', (data) => far.write(data)).on('error', () => {});
    far.on('data', (data: Buffer) => near.write(inGerman(data))).on('error', () => {});
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const url = new URL(target);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  return url.href;
}

test('a statement that the server refuses costs no connection, whatever language the server speaks', async () => {
  const connection = await open(await germanServer());
  await expect(connection.query('SELECT 1/0', [])).rejects.toMatchObject({ severity: 'FEHLER', code: '22012' });
  expect(connection.lost.aborted).toBe(false);
  expect(await connection.query('SELECT 1 AS one', [])).toEqual([{ one: 1 }]);
});

test('a session that the server ends is lost', async () => {
  const connection = await open(database.url);
  await expect(connection.query('SELECT pg_terminate_backend(pg_backend_pid())', [])).rejects.toThrow(ConnectionLost);
  expect(connection.lost.aborted).toBe(true);
});

test('a statement that takes too long is refused by the server before the connection is given up', async () => {
  const connection = await openWatchedConnection(database.url, { ...OPTIONS, callTimeout: 400 });
  onTestFinished(() => connection.close());
  await expect(connection.query('SELECT pg_sleep(10)', [])).rejects.toMatchObject({ code: '57014' });
  expect(connection.lost.aborted).toBe(false);
});

test('whoever no longer wants a connection does not wait for a server that is silent', async () => {
  const { promise: connected, resolve } = Promise.withResolvers<void>();
  const url = await silentServer(resolve);
  const stop = new AbortController();
  const opening = openWatchedConnection(url, { ...OPTIONS, signal: stop.signal });
  await connected;
  const began = performance.now();
  stop.abort(new Error('stopped'));
  await expect(opening).rejects.toThrow('stopped');
  expect(performance.now() - began).toBeLessThan(1_000);
  await expect(openWatchedConnection(url, { ...OPTIONS, signal: stop.signal })).rejects.toThrow('stopped');
});

test('a relay that waits for one of an earlier version, and is not answered, stops at once', async () => {
  const target = new URL(database.url);
  const link = await startTcpProxy(target.hostname, Number(target.port));
  onTestFinished(() => link.close());
  target.hostname = '127.0.0.1';
  target.port = String(link.port);
  const earlier = await openWatchedConnection(database.url, OPTIONS);
  onTestFinished(() => earlier.close());
  await earlier.query('SELECT pg_try_advisory_lock(1195724357, 0)', []);
  const stop = new AbortController();
  const onStandby = vi.fn();
  const group = createRelayGroup(target.href, { standbyInterval: 1, onStandby });
  const waiting = group.join({ name: 'test', delivery: 'at-least-once' }, stop.signal);
  await vi.waitFor(() => expect(onStandby).toHaveBeenCalled(), { timeout: 10_000, interval: 5 });
  link.blackHole();
  await vi.waitFor(() => expect(link.swallowed()).toBeGreaterThan(0), { timeout: 10_000, interval: 1 });
  const began = performance.now();
  stop.abort(new Error('stopped'));
  await expect(waiting).rejects.toThrow(/abort|stopped/u);
  expect(performance.now() - began).toBeLessThan(1_000);
});

test('a listener for wake-ups stops at once, though the server is silent', async () => {
  const { promise: connected, resolve } = Promise.withResolvers<void>();
  const lines: string[] = [];
  const logger = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) });
  const wakeup = new DatabaseWakeup(await silentServer(resolve), logger);
  await wakeup.start();
  await connected;
  const began = performance.now();
  await wakeup.stop();
  expect(performance.now() - began).toBeLessThan(1_000);
  expect(lines).toEqual([]);
});
