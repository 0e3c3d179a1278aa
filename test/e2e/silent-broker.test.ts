import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startTcpProxy, type TcpProxy } from '../relay/tcp-proxy.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { genesis, launch, type Instance } from './instance.ts';

/** A broker behind a black hole: it takes connections and says nothing. */
let broker: TcpProxy;
let database: TestDatabase;
let env: Readonly<Record<string, string>>;
let instance: Instance;

beforeEach(async () => {
  broker = await startTcpProxy('127.0.0.1', 1);
  broker.blackHole();
  database = await createTestDatabase();
  env = {
    LOCAL_DATA_DIR: await mkdtemp(join(tmpdir(), 'genesis-silent-')),
    DATABASE_URL: database.url,
    KAFKA_BROKERS: `127.0.0.1:${broker.port}`,
    PORT: '0',
  };
  instance = launch('start', env);
});

afterEach(async () => {
  await instance.stop('SIGKILL');
  await broker.close();
  await database.drop();
  await rm(env['LOCAL_DATA_DIR'] ?? '', { recursive: true });
});

async function expectQuickStop(limit: number): Promise<void> {
  const began = performance.now();
  expect(await instance.stop('SIGTERM'), instance.output()).toBe(0);
  expect(performance.now() - began).toBeLessThan(limit);
}

test('beside a broker that is silent the API starts, takes commands and stops within ten seconds', async () => {
  await instance.says(/"msg":"ready"/u);
  const address = /"address":"(?<address>[^"]+)"/u.exec(instance.output())?.groups?.['address'];
  const token = (await genesis(['token', '--user', 'ada'], env)).stdout.trim();
  const response = await fetch(`${address}/api/v1/genesis/sessions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: '{}',
  });
  expect(response.status).toBe(201);
  expect(instance.output()).toContain('waiting for Kafka');
  await expectQuickStop(10_000);
}, 40_000);

test('a start that waits for a silent broker ends at once when it is told to stop', async () => {
  await vi.waitFor(() => expect(broker.swallowed()).toBeGreaterThan(0), { timeout: 30_000, interval: 5 });
  await expectQuickStop(5_000);
  expect(instance.output()).not.toContain('"msg":"ready"');
});
