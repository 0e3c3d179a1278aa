import fc from 'fast-check';
import type { Pool, PoolClient } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { plainArray, textArray, textList } from '../../src/postgres/array-literal.ts';
import { Pipeline } from '../../src/postgres/pipeline.ts';
import { createPool } from '../../src/postgres/pool.ts';
import { silent } from '../support/commands.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = createPool({ url: database.url, poolSize: 2 }, 'genesis-test', silent);
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

async function onConnection<Result>(use: (client: PoolClient) => Promise<Result>): Promise<Result> {
  const client = await pool.connect();
  client.on('error', () => undefined);
  try {
    return await use(client);
  } finally {
    client.release(true);
  }
}

describe('statements asked for in one go', () => {
  const add = { name: 'add', text: 'SELECT $1::int + 1, NULL' };
  const next = { name: 'next', text: `SELECT nextval('numbers')` };
  const fail = { name: 'fail', text: 'SELECT 1 / $1::int' };

  it('give each its own rows, run in their order, and are prepared once', async () => {
    await onConnection(async (client) => {
      await client.query('CREATE TEMP SEQUENCE numbers');
      const pipeline = new Pipeline(client);
      const answers = [pipeline.run(next, []), pipeline.run(add, ['41']), pipeline.run(next, [])];
      expect(await Promise.all(answers)).toEqual([[['1']], [['42', null]], [['2']]]);
      expect(await pipeline.run(add, ['1'])).toEqual([['2', null]]);
      const prepared = await client.query('SELECT name FROM pg_prepared_statements ORDER BY name');
      expect(prepared.rows).toEqual([{ name: 'add' }, { name: 'next' }]);
    });
  });

  it('each see what the one before has left, and what others committed before they began', async () => {
    await onConnection(async (client) => {
      await client.query('CREATE TEMP TABLE seen (n int)');
      const pipeline = new Pipeline(client);
      const insert = { name: 'insert', text: 'INSERT INTO seen SELECT count(*) FROM seen' };
      const count = { name: 'count', text: 'SELECT count(*), sum(n) FROM seen' };
      const [, , counted] = await Promise.all([
        pipeline.run(insert, []),
        pipeline.run(insert, []),
        pipeline.run(count, []),
      ]);
      expect(counted).toEqual([['2', '1']]);
    });
  });

  it('are rejected from the one on that fails: those behind it do not run', async () => {
    await onConnection(async (client) => {
      await client.query('CREATE SEQUENCE numbers');
      const pipeline = new Pipeline(client);
      const answers = await Promise.allSettled([
        pipeline.run(add, ['1']),
        pipeline.run(fail, ['0']),
        pipeline.run(next, []),
      ]);
      const [before, ...rest] = answers;
      expect(before?.status).toBe('fulfilled');
      for (const answer of rest) expect(answer).toMatchObject({ status: 'rejected', reason: { code: '22012' } });
      expect((await client.query('SELECT is_called FROM numbers')).rows).toEqual([{ is_called: false }]);
    });
  });

  it('are rejected if the server did something else: COMMIT of a transaction that has failed is a ROLLBACK', async () => {
    await onConnection(async (client) => {
      const pipeline = new Pipeline(client);
      const commit = { name: 'commit', text: 'COMMIT', tag: 'COMMIT' };
      await client.query('BEGIN');
      expect(await pipeline.run(commit, [])).toEqual([]);
      await client.query('BEGIN');
      await expect(client.query('SELECT 1 / 0')).rejects.toThrow('division by zero');
      const [committed, after] = await Promise.allSettled([pipeline.run(commit, []), pipeline.run(add, ['1'])]);
      expect(committed).toMatchObject({ status: 'rejected', reason: new Error('commit was answered with ROLLBACK') });
      expect(after).toMatchObject({ status: 'fulfilled', value: [['2', null]] });
    });
  });

  it('are all rejected when the connection is cut', async () => {
    const client = await pool.connect();
    client.on('error', () => undefined);
    const pipeline = new Pipeline(client);
    const asked = Promise.allSettled([
      pipeline.run(add, ['1']),
      pipeline.run({ name: 'sleep', text: 'SELECT pg_sleep(600)' }, []),
    ]);
    await Promise.resolve();
    client.release(true);
    expect(await asked).toMatchObject([{ status: 'rejected' }, { status: 'rejected' }]);
    // On what is no connection any more, too.
    await expect(pipeline.run(add, ['1'])).rejects.toThrow();
  });
});

it('what somebody asked for whose connection was cut is not carried out to its end', async () => {
  await pool.query('CREATE TABLE carried_out (n int)');
  const client = await pool.connect();
  client.on('error', () => undefined);
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const pipeline = new Pipeline(client);
  const asked = Promise.allSettled([
    pipeline.run({ name: 'b', text: 'BEGIN' }, []),
    pipeline.run({ name: 'i', text: 'INSERT INTO carried_out VALUES (1)' }, []),
    ...Array.from({ length: 4 }, () => pipeline.run({ name: 's', text: 'SELECT pg_sleep(0.6)' }, [])),
    pipeline.run({ name: 'c', text: 'COMMIT' }, []),
  ]);
  const looks = 'SELECT wait_event FROM pg_stat_activity WHERE pid = $1';
  const look = async () => (await pool.query<{ wait_event: string | null }>(looks, [rows[0]?.pid])).rows;
  await expect.poll(look, { interval: 5, timeout: 2_000 }).toEqual([{ wait_event: 'PgSleep' }]);
  client.release(true);
  await asked;
  await expect.poll(look, { interval: 20, timeout: 10_000 }).toEqual([]);
  expect((await pool.query('SELECT n FROM carried_out')).rows).toEqual([]);
});

describe('lists as one parameter', () => {
  const storable = fc.string({ unit: 'binary' }).filter((text) => !text.includes('\0') && text.isWellFormed());
  const json = fc.jsonValue().map((value) => JSON.stringify(value).replaceAll(String.raw`\u0000`, ''));

  it('arrive as they were, whatever they hold', async () => {
    await onConnection(async (client) => {
      const pipeline = new Pipeline(client);
      const text = `SELECT to_json($1::text[]), to_json(string_to_array($2, E'\\x1f', '')), to_json($3::int[])`;
      const element = fc.constantFrom('"', '\\', ',', '{', '}', 'NULL', 'null', '', ' ', '\u001f', '\n');
      const value = fc.option(fc.oneof(storable, element, fc.string({ unit: element })));
      await fc.assert(
        fc.asyncProperty(
          fc.array(value),
          fc.array(json),
          fc.array(fc.option(fc.integer({ min: -9, max: 9 }))),
          async (...lists) => {
            const [texts, jsons, numbers] = lists;
            const values = [textArray(texts), textList(jsons), plainArray(numbers)];
            const [row] = await pipeline.run<[string, string, string]>({ name: 'echo', text }, values);
            expect(row?.map((list) => JSON.parse(list) as unknown)).toEqual([texts, jsons, numbers]);
          },
        ),
        { numRuns: 200 },
      );
    });
  });

  it('may leave out a JSON text, which is then NULL', async () => {
    await onConnection(async (client) => {
      const pipeline = new Pipeline(client);
      const statement = {
        name: 'nulls',
        text: `SELECT j::text FROM unnest($1::int[], string_to_array($2, E'\\x1f', '')::json[]) AS u (n, j)`,
      };
      for (const list of [[null], ['{}', null], [null, '{}'], [null, null]]) {
        const rows = await pipeline.run(statement, [plainArray(list.map((_, index) => index)), textList(list)]);
        expect(rows).toEqual(list.map((text) => [text]));
      }
    });
  });
});
