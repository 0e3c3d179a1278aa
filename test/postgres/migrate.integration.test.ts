import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { migrate } from '../../src/postgres/migrate.ts';
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts';

describe('migrate', () => {
  let database: TestDatabase;
  let folder: URL;

  beforeEach(async () => {
    database = await createEmptyDatabase();
    folder = pathToFileURL(`${await mkdtemp(join(tmpdir(), 'genesis-migrations-'))}/`);
  });
  afterEach(async () => {
    await database.drop();
    await rm(folder, { recursive: true });
  });

  const file = (name: string, text: string) => writeFile(new URL(name, folder), text);
  const query = async <Row extends object>(text: string): Promise<readonly Row[]> => {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    try {
      return (await client.query<Row>(text)).rows;
    } finally {
      await client.end();
    }
  };

  it('applies what is missing, in order, and nothing twice', async () => {
    await file('0002_second.sql', 'INSERT INTO things VALUES (2)');
    await file('0001_first.sql', 'CREATE TABLE things (n int); INSERT INTO things VALUES (1)');
    await file('README.md', 'not a migration');
    const applied: string[] = [];
    await migrate(database.url, (name) => applied.push(name), folder);
    await file('0003_third.sql', 'INSERT INTO things VALUES (3)');
    await migrate(database.url, (name) => applied.push(name), folder);
    await migrate(database.url, (name) => applied.push(name), folder);
    expect(applied).toEqual(['0001_first.sql', '0002_second.sql', '0003_third.sql']);
    expect(await query('SELECT n FROM things')).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  });

  it('lets several start at once: one applies, the others find it done', async () => {
    await file('0001_first.sql', 'CREATE TABLE things (n int)');
    const applied: string[] = [];
    await Promise.all(Array.from({ length: 8 }, () => migrate(database.url, (name) => applied.push(name), folder)));
    expect(applied).toEqual(['0001_first.sql']);
  });

  it('leaves nothing of a migration that fails, keeps those before it, and says which it was', async () => {
    await file('0001_first.sql', 'CREATE TABLE things (n int)');
    await file('0002_second.sql', 'INSERT INTO things VALUES (1); SELECT 1/0');
    await expect(migrate(database.url, undefined, folder)).rejects.toThrow(
      /0002_second\.sql failed and was rolled back: division by zero/,
    );
    expect(await query('SELECT n FROM things')).toEqual([]);
    await file('0002_second.sql', 'INSERT INTO things VALUES (2)');
    await migrate(database.url, undefined, folder);
    expect(await query('SELECT n FROM things')).toEqual([{ n: 2 }]);
  });

  it('refuses a migration that was changed after it had been applied', async () => {
    await file('0001_first.sql', 'CREATE TABLE things (n int)');
    await migrate(database.url, undefined, folder);
    await file('0001_first.sql', 'CREATE TABLE things (n bigint)');
    await expect(migrate(database.url, undefined, folder)).rejects.toThrow(
      /0001_first\.sql was changed after it had been applied/,
    );
  });
});
