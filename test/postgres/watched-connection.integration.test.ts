import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import {
  ConnectionLost,
  openWatchedConnection,
  type WatchedConnection,
} from '../../src/postgres/watched-connection.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
const OPTIONS = { applicationName: 'genesis-watched', callTimeout: 5_000, heartbeatInterval: 1_000 };

beforeAll(async () => {
  database = await createTestDatabase();
});

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
