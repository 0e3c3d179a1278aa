import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import type { GroupCommit } from '../../src/commands/group-commit.ts';
import { createCommandStore } from '../../src/postgres/command-store.ts';
import { createPool, DEFAULT_LIMITS } from '../../src/postgres/pool.ts';
import { createSession, groupCommit, request, requestConcepts, silent } from '../support/commands.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const PATIENCE = { timeout: 10_000, interval: 5 };
const ROLE = 'who_may_not_notify';

let database: TestDatabase;
let listener: pg.Client;
let pool: pg.Pool;
let commands: GroupCommit;
let telling: boolean;
/** How many commands each transaction took. */
let batches: number[];
/** Of each notification: how many rows of the outbox could be read then; or its text. */
let heard: (number | string)[];

beforeAll(async () => {
  database = await createTestDatabase();
  listener = new pg.Client(database.url);
  await listener.connect();
  listener.on('notification', ({ payload = '' }) => void hear(payload));
  await listener.query('LISTEN genesis_outbox');
});

afterAll(async () => {
  await listener.query(`DROP OWNED BY ${ROLE}`).catch(() => undefined);
  await listener.query(`DROP ROLE IF EXISTS ${ROLE}`);
  await listener.end();
  await database.drop();
});

beforeEach(async () => {
  telling = true;
  batches = [];
  await open(database.url);
  heard = [];
});

afterEach(close);

/** Commands on one connection, with the settings of every program. */
async function open(url: string): Promise<void> {
  pool = createPool({ url, poolSize: 1 }, 'test', silent, DEFAULT_LIMITS, ['synchronous_commit=on']);
  commands = groupCommit(
    createCommandStore(pool, () => telling),
    { transactionsMax: 1, onBatch: ({ length }) => batches.push(length) },
  );
  await commands.start();
}

async function close(): Promise<void> {
  await commands.stop();
  await pool.end();
}

async function hear(payload: string): Promise<void> {
  if (payload !== '') return void heard.push(payload);
  const place = heard.push(-1) - 1;
  const { rows } = await listener.query<{ count: number }>('SELECT count(*)::int FROM event_outbox');
  heard[place] = rows[0]?.count ?? -1;
}

/** What was heard up to now: notifications come in their order. */
async function heardSoFar(): Promise<readonly (number | string)[]> {
  await listener.query("SELECT pg_notify('genesis_outbox', 'end')");
  await vi.waitFor(() => expect(heard).toContain('end'), PATIENCE);
  await vi.waitFor(() => expect(heard).not.toContain(-1), PATIENCE);
  return heard.slice(0, -1);
}

const create = () => commands.execute(request(createSession()));

it('relays are told of each transaction once, when its rows can be read', async () => {
  const { rows } = await listener.query<{ count: number }>('SELECT count(*)::int FROM event_outbox');
  const before = rows[0]?.count ?? 0;
  await create();
  for (let round = 0; round < 20; round += 1) await Promise.all([create(), create(), create()]);
  const counts = await heardSoFar();
  let stored = before;
  for (const [index, size] of batches.entries()) expect(counts[index]).toBeGreaterThanOrEqual((stored += size));
  expect([counts.length, stored]).toEqual([batches.length, before + 61]);
});

it('they are not told when that is not wanted, nor of a transaction that wrote nothing', async () => {
  telling = false;
  await create();
  telling = true;
  await expect(commands.execute(request(requestConcepts))).resolves.toMatchObject({ kind: 'refused' });
  expect(await heardSoFar()).toEqual([]);
});

it('commits wait for the disk before and after it', async () => {
  await create();
  expect((await pool.query('SHOW synchronous_commit')).rows).toEqual([{ synchronous_commit: 'on' }]);
  expect(await heardSoFar()).toHaveLength(1);
});

it('commands are stored and answered though the notification is refused, and more on the same connection', async () => {
  await close();
  await listener.query(`CREATE ROLE ${ROLE} LOGIN PASSWORD 'p'`);
  await listener.query(`GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO ${ROLE}`);
  await listener.query(`GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ${ROLE}`);
  await listener.query('REVOKE EXECUTE ON FUNCTION pg_notify(text, text) FROM PUBLIC');
  const url = new URL(database.url);
  url.username = ROLE;
  url.password = 'p';
  await open(url.href);
  const server = async () => (await pool.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]?.pid;
  const first = await server();
  for (let count = 0; count < 3; count += 1) await expect(create()).resolves.toMatchObject({ kind: 'accepted' });
  expect(await server()).toBe(first);
  expect(await heardSoFar()).toEqual([]);
});
