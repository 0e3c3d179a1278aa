import type { Pool } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPool, DEFAULT_LIMITS } from '../../src/postgres/pool.ts';
import { createRead } from '../../src/postgres/read.ts';
import { silent } from '../support/commands.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  const limits = { ...DEFAULT_LIMITS, statementTimeout: 60_000, lockTimeout: 50 };
  pool = createPool({ url: database.url, poolSize: 1 }, 'genesis-test', silent, limits);
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

const one = { name: 'one', text: 'SELECT 1 AS one' };
const forEver = { name: 'for-ever', text: 'SELECT pg_sleep(600)' };
const shards = { name: 'shards', text: 'SELECT shards FROM genesis_settings' };

test('a read that takes too long is cut off, and its connection replaced', async () => {
  await expect(createRead(pool, 100)(forEver, [])).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(await createRead(pool, 5_000)(one, [])).toEqual([{ one: 1 }]);
});

test('a read that runs into a lock is UNAVAILABLE', async () => {
  const other = createPool({ url: database.url, poolSize: 1 }, 'genesis-test', silent);
  const holder = await other.connect();
  try {
    await holder.query('BEGIN; LOCK TABLE genesis_settings IN ACCESS EXCLUSIVE MODE');
    await expect(createRead(pool, 5_000)(shards, [])).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  } finally {
    holder.release(true);
    await other.end();
  }
  expect(await createRead(pool, 5_000)(shards, [])).toEqual([{ shards: 8 }]);
});

test('a wrong statement is a defect, told as it is', async () => {
  await expect(createRead(pool, 5_000)({ name: 'wrong', text: 'SELECT x' }, [])).rejects.toMatchObject({
    code: '42703',
  });
});

test('nobody to connect to is UNAVAILABLE', async () => {
  const nowhere = createPool({ url: 'postgres://127.0.0.1:1/x', poolSize: 1 }, 'genesis-test', silent);
  await expect(createRead(nowhere, 5_000)(one, [])).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await nowhere.end();
});
