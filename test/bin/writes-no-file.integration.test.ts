import { createServer } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { launch } from '../e2e/instance.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

// Nothing can be made below a device: whoever tries to, fails as on a file system that is read-only.
const UNWRITABLE = '/dev/null/genesis';

test.each([
  ['api', 'PORT'],
  ['relay', 'HEALTH_PORT'],
])('in production `genesis %s` writes no file: it starts where it may not', async (command, portVariable) => {
  const port = await freePort();
  const instance = launch(command, {
    NODE_ENV: 'production',
    DATABASE_URL: database.url,
    KAFKA_BROKERS: inject('brokers').join(','),
    KAFKA_TOPIC: `writes-no-file-${command}`,
    KAFKA_REPLICATION: '1',
    LOCAL_DATA_DIR: UNWRITABLE,
    [portVariable]: String(port),
    ...(command === 'api' ? { JWT_SECRET: 'a secret of this test, 32 bytes long' } : {}),
  });
  try {
    await instance.says(/"msg":"ready"/u);
    expect((await fetch(`http://127.0.0.1:${port}/livez`)).status).toBe(200);
  } finally {
    await instance.stop('SIGTERM');
  }
  expect(instance.child.exitCode).toBe(0);
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return address.port;
}
