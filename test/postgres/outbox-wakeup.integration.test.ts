import pg from 'pg';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { createCommitNotifier, DatabaseWakeup } from '../../src/postgres/wakeup.ts';
import { createRead } from '../../src/postgres/read.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const silent = pino({ level: 'silent' });
const PATIENCE = { timeout: 10_000, interval: 5 };
let database: TestDatabase;
let pool: pg.Pool;
let wakeup: DatabaseWakeup;
let hints: number;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = new pg.Pool({ connectionString: database.url, max: 2 });
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

beforeEach(async () => {
  hints = 0;
  wakeup = new DatabaseWakeup(database.url, silent);
  wakeup.subscribe(() => (hints += 1));
  await wakeup.start();
  // Listening begins with a hint: something may have been committed before.
  await vi.waitFor(() => expect(hints).toBe(1), PATIENCE);
});

afterEach(async () => {
  await wakeup.stop();
});

test('a commit in one process wakes a relay in another', async () => {
  createCommitNotifier(createRead(pool, 5_000), silent)();
  await vi.waitFor(() => expect(hints).toBe(2), PATIENCE);
});

test('many commits at once are few notifications, and the last one is not forgotten', async () => {
  const query = vi.spyOn(pool, 'query');
  const notify = createCommitNotifier(createRead(pool, 5_000), silent);
  for (let commit = 0; commit < 1_000; commit += 1) notify();
  await vi.waitFor(() => expect(hints).toBeGreaterThanOrEqual(2), PATIENCE);
  const before = hints;
  notify();
  await vi.waitFor(() => expect(hints).toBeGreaterThan(before), PATIENCE);
  expect(query.mock.calls.length).toBeLessThan(10);
});

test('a listener that lost its connection listens again, and looks for what it missed', async () => {
  await pool.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'genesis-wakeup' AND datname = current_database()",
  );
  await vi.waitFor(() => expect(hints).toBe(2), PATIENCE);
  createCommitNotifier(createRead(pool, 5_000), silent)();
  await vi.waitFor(() => expect(hints).toBe(3), PATIENCE);
});

test('who has unsubscribed hears nothing', async () => {
  let heard = 0;
  wakeup.subscribe(() => (heard += 1))();
  createCommitNotifier(createRead(pool, 5_000), silent)();
  await vi.waitFor(() => expect(hints).toBe(2), PATIENCE);
  expect(heard).toBe(0);
});

test('a notification that cannot be sent is no error of the command', async () => {
  const broken = new pg.Pool({ connectionString: 'postgres://nobody@127.0.0.1:1/none' });
  const connect = vi.spyOn(broken, 'connect');
  createCommitNotifier(createRead(broken, 5_000), silent)();
  await expect(connect.mock.results[0]?.value).rejects.toThrow('ECONNREFUSED');
  await broken.end();
});

test('it stops without a database, too', async () => {
  const away = new DatabaseWakeup('postgres://nobody@127.0.0.1:1/none', silent);
  await away.start();
  await away.stop();
  await away.stop();
});
