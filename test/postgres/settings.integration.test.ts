import type pg from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createPool } from '../../src/postgres/pool.ts';
import { createRead } from '../../src/postgres/read.ts';
import { readSettings } from '../../src/postgres/settings.ts';
import { silent } from '../support/commands.ts';
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from '../support/database.ts';

let databases: readonly TestDatabase[] = [];
let pools: readonly pg.Pool[] = [];

beforeEach(async () => {
  databases = [await createTestDatabase(), await createEmptyDatabase()];
  pools = databases.map(({ url }) => createPool({ url, poolSize: 1 }, 'test', silent));
});
afterEach(async () => {
  for (const pool of pools) await pool.end();
  for (const database of databases) await database.drop();
});

it('tells the number of shards that the first migration fixed', async () => {
  const [migrated] = pools;
  expect(migrated && (await readSettings(createRead(migrated, 5_000)))).toEqual({ shards: 8 });
});

it('says what to do with a database that was never migrated', async () => {
  const [, empty] = pools;
  await expect(empty && readSettings(createRead(empty, 5_000))).rejects.toThrow('run `npx genesis migrate` first');
});

it('gives up in time when all connections are taken, and leaves the one that comes late to others', async () => {
  const [pool] = pools;
  if (pool === undefined) throw new Error('no pool');
  const taken = await pool.connect();
  await expect(readSettings(createRead(pool, 100))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  taken.release();
  expect(await readSettings(createRead(pool, 5_000))).toEqual({ shards: 8 });
});
