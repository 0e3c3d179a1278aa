import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import pg from 'pg';
import { createRelayLease } from '../../src/postgres/relay-lease.ts';
import { LeaseLost } from '../../src/relay/ports.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let admin: pg.Client;
const PATIENCE = { timeout: 10_000, interval: 10 };
const forever = new AbortController().signal;

beforeAll(async () => {
  database = await createTestDatabase();
  admin = new pg.Client({ connectionString: database.url });
  await admin.connect();
});

afterAll(async () => {
  await admin.end();
  await database.drop();
});

function lease() {
  return createRelayLease(database.url, { standbyInterval: 10, callTimeout: 2_000, heartbeatInterval: 20 });
}

/** Sessions that have asked for the lock more than once: in between they were refused it. */
async function standbys(): Promise<number> {
  const { rows } = await admin.query<{ count: number }>(
    `SELECT count(*)::int FROM pg_stat_activity
     WHERE application_name = 'genesis-relay' AND datname = current_database()
       AND query LIKE '%try_advisory%' AND query_start > backend_start + interval '30 ms'`,
  );
  return rows[0]?.count ?? 0;
}

test('the second waits until the first gives the lease back', async () => {
  const first = await lease().acquire(forever);
  let taken = false;
  const second = lease()
    .acquire(forever)
    .then((held) => {
      taken = true;
      return held;
    });
  await vi.waitFor(async () => expect(await standbys()).toBe(1), PATIENCE);
  expect(taken).toBe(false);
  expect(await first.store.claim(1)).toEqual([]);
  await first.release();
  const held = await second;
  expect(first.lost.aborted).toBe(false);
  await held.release();
});

test('a standby stops waiting when it is told to', async () => {
  const first = await lease().acquire(forever);
  const stop = new AbortController();
  const waiting = lease().acquire(stop.signal);
  stop.abort(new Error('stopped'));
  await expect(waiting).rejects.toThrow(/abort|stopped/);
  await first.release();
});

test('whoever loses the session loses the lease and the right to write', async () => {
  const held = await lease().acquire(forever);
  await admin.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'genesis-relay' AND datname = current_database()",
  );
  await vi.waitFor(() => expect(held.lost.aborted).toBe(true), PATIENCE);
  await expect(held.store.claim(1)).rejects.toThrow(LeaseLost);
  await expect(held.store.markSent([{ id: 1, partition: 0, offset: '0' }])).rejects.toThrow(LeaseLost);
  const next = await lease().acquire(forever);
  await next.release();
});

test('after release every call fails', async () => {
  const held = await lease().acquire(forever);
  await held.release();
  await expect(held.store.claim(1)).rejects.toThrow(LeaseLost);
});

test('a statement that the server refuses does not cost the lease', async () => {
  const held = await lease().acquire(forever);
  await expect(held.store.claim(-1)).rejects.toThrow(/LIMIT/);
  expect(held.lost.aborted).toBe(false);
  expect(await held.store.claim(1)).toEqual([]);
  await held.release();
});

test('a database that is not there is told', async () => {
  const away = createRelayLease('postgres://nobody@127.0.0.1:1/none');
  await expect(away.acquire(forever)).rejects.toThrow(/ECONNREFUSED/);
});
