import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest';
import { createRelayRig, sessions, upTo, versionsBySession, type RelayRig } from './relay-rig.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

let rig: RelayRig;
let link: TcpProxy;
let url: string;

beforeEach(async () => {
  rig = await createRelayRig(inject('brokers'));
  const direct = new URL(rig.databaseUrl);
  link = await startTcpProxy(direct.hostname, Number(direct.port));
  direct.hostname = '127.0.0.1';
  direct.port = String(link.port);
  url = direct.href;
});

afterEach(async () => {
  await rig.close();
  await link.close();
});

const PATIENCE = { timeout: 25_000, interval: 10 };

async function untilSent(atLeast: number): Promise<void> {
  await vi.waitFor(async () => expect((await rig.statuses())['SENT'] ?? 0).toBeGreaterThanOrEqual(atLeast), PATIENCE);
}

async function expectAllInOrder(keys: readonly string[], versions: number): Promise<void> {
  const log = versionsBySession(await rig.log());
  for (const key of keys) {
    // First occurrences: a batch whose mark was lost with the connection may be there twice.
    expect([...new Set(log.get(key))]).toEqual(upTo(versions));
  }
}

async function insertMany(keys: readonly string[], versions: number): Promise<void> {
  await rig.insert(upTo(versions).flatMap((sequence) => keys.map((session) => ({ session, sequence }))));
}

test('a relay whose connection is cut again and again loses and reorders nothing', async () => {
  const keys = sessions(20);
  await insertMany(keys, 100);
  const relay = rig.relay({ batchMax: 100 }, { url });
  await relay.start();
  for (const sent of [200, 600, 1_000]) {
    await untilSent(sent);
    link.cut();
  }
  await untilSent(2_000);
  await expectAllInOrder(keys, 100);
  const { rows } = await rig.database.query('SELECT count(*)::int AS charged FROM event_outbox WHERE retry_count > 0');
  expect(rows).toEqual([{ charged: 0 }]);
});

test('a standby takes over from a relay whose session the server ends', async () => {
  const keys = sessions(20);
  const [first, second] = [rig.relay(), rig.relay()];
  await first.start();
  await vi.waitFor(() => expect(first.status().state).toBe('idle'), PATIENCE);
  await second.start();
  await insertMany(keys, 100);
  await untilSent(300);
  await rig.database.query(
    `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
  );
  await untilSent(2_000);
  await vi.waitFor(() => expect(first.status().lastError).not.toBeNull(), PATIENCE);
  // What the first had sent and not marked, the second finds in the topic.
  const done = [first, second].map((relay) => relay.status()).map(({ published, found }) => published + found);
  expect(done.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(2_000);
  await expectAllInOrder(keys, 100);
});

test('a relay behind a black hole counts its lease as lost and comes back when the link is whole', async () => {
  const relay = rig.relay({}, { url, callTimeout: 400, heartbeatInterval: 50 });
  await relay.start();
  await vi.waitFor(() => expect(relay.status().state).toBe('idle'), PATIENCE);
  link.blackHole();
  await vi.waitFor(() => expect(relay.status().lastError).toContain('did not answer within 400 ms'), PATIENCE);
  expect(relay.status().state).toBe('standby');
  link.heal();
  const keys = sessions(5);
  await insertMany(keys, 10);
  await untilSent(50);
  await expectAllInOrder(keys, 10);
});

test('a relay starts before its database can be reached, and stops without it', async () => {
  await link.close();
  const relay = rig.relay({}, { url });
  await relay.start();
  await vi.waitFor(() => expect(relay.status().lastError).toContain('ECONNREFUSED'), PATIENCE);
  await relay.stop();
  expect(relay.status().state).toBe('stopped');
  link = await startTcpProxy('127.0.0.1', 1);
});
