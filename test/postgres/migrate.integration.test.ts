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
  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    return client;
  };
  const query = async <Row extends object>(text: string): Promise<readonly Row[]> => {
    const client = await connect();
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
    await migrate(database.url, { onApplied: (name) => applied.push(name), folder });
    await file('0003_third.sql', 'INSERT INTO things VALUES (3)');
    await migrate(database.url, { onApplied: (name) => applied.push(name), folder });
    await migrate(database.url, { onApplied: (name) => applied.push(name), folder });
    expect(applied).toEqual(['0001_first.sql', '0002_second.sql', '0003_third.sql']);
    expect(await query('SELECT n FROM things')).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  });

  it('lets several start at once: one applies, the others find it done', async () => {
    await file('0001_first.sql', 'CREATE TABLE things (n int)');
    const applied: string[] = [];
    await Promise.all(
      Array.from({ length: 8 }, () => migrate(database.url, { onApplied: (name) => applied.push(name), folder })),
    );
    expect(applied).toEqual(['0001_first.sql']);
  });

  it('leaves nothing of a migration that fails, keeps those before it, and says which it was', async () => {
    await file('0001_first.sql', 'CREATE TABLE things (n int)');
    await file('0002_second.sql', 'INSERT INTO things VALUES (1); SELECT 1/0');
    await expect(migrate(database.url, { folder })).rejects.toThrow(
      /0002_second\.sql failed and was rolled back: division by zero/,
    );
    expect(await query('SELECT n FROM things')).toEqual([]);
    await file('0002_second.sql', 'INSERT INTO things VALUES (2)');
    await migrate(database.url, { folder });
    expect(await query('SELECT n FROM things')).toEqual([{ n: 2 }]);
  });

  it('refuses a migration that was changed after it had been applied', async () => {
    await file('0001_first.sql', 'CREATE TABLE things (n int)');
    await migrate(database.url, { folder });
    await file('0001_first.sql', 'CREATE TABLE things (n bigint)');
    await expect(migrate(database.url, { folder })).rejects.toThrow(
      /0001_first\.sql was changed after it had been applied/,
    );
  });

  it('waits for its turn behind another that migrates, and says whom to look for when that never ends', async () => {
    await file('0001_first.sql', 'CREATE TABLE things (n int)');
    const other = await connect();
    // The number is the program's own: whoever changes it lets two versions migrate at once.
    await other.query('SELECT pg_advisory_lock(7203551914)');
    await expect(migrate(database.url, { folder, patience: 300 })).rejects.toThrow(/application_name genesis-migrate/);
    const waiting = migrate(database.url, { folder });
    await other.end();
    await waiting;
    expect(await query('SELECT n FROM things')).toEqual([]);
  });

  describe('beside a long transaction that has the table', () => {
    let reader: pg.Client;

    beforeEach(async () => {
      await file('0001_first.sql', 'CREATE TABLE things (n int)');
      await migrate(database.url, { folder });
      await file('0002_second.sql', 'ALTER TABLE things ADD COLUMN m int');
      reader = await connect();
      await reader.query('BEGIN; SELECT FROM things');
    });
    afterEach(() => reader.end());

    it('lets those who write go first again and again, and gets its turn in the end', async () => {
      const waited = Promise.withResolvers<void>();
      const migrating = migrate(database.url, { folder, lockTimeout: 300, onWait: () => waited.resolve() });
      await waited.promise;
      // The reader still has the table, and the migration is not before us in the queue for ever.
      await query('INSERT INTO things VALUES (1)');
      await reader.query('COMMIT');
      await migrating;
      expect(await query('SELECT n, m FROM things')).toEqual([{ n: 1, m: null }]);
    });

    it('gives up in the end and says what to look for', async () => {
      await expect(migrate(database.url, { folder, lockTimeout: 50, patience: 100 })).rejects.toThrow(
        /0002_second\.sql does not get its tables .*pg_stat_activity/,
      );
      expect(await query('SELECT n FROM things')).toEqual([]);
    });
  });

  describe('of a migration that takes something away', () => {
    beforeEach(async () => {
      await file('0001_first.sql', 'CREATE TABLE things (n int, old int)');
      await migrate(database.url, { folder });
      await file('0002_contract_old.sql', 'ALTER TABLE things DROP COLUMN old');
      await file('0003_third.sql', 'CREATE TABLE more (n int)');
    });

    it('is left, unless somebody says that no earlier version is at work', async () => {
      expect(await migrate(database.url, { folder })).toEqual(['0002_contract_old.sql']);
      expect(await query('SELECT name FROM genesis_migrations ORDER BY 1')).toEqual([
        { name: '0001_first.sql' },
        { name: '0003_third.sql' },
      ]);
      expect(await migrate(database.url, { folder, contract: true })).toEqual([]);
      expect(await migrate(database.url, { folder })).toEqual([]);
      expect(await query('SELECT * FROM things')).toEqual([]);
    });

    it('is applied in its place to an empty database', async () => {
      const empty = await createEmptyDatabase();
      try {
        const applied: string[] = [];
        await migrate(empty.url, { folder, onApplied: (name) => applied.push(name) });
        expect(applied).toEqual(['0001_first.sql', '0002_contract_old.sql', '0003_third.sql']);
      } finally {
        await empty.drop();
      }
    });
  });

  it('applies what PostgreSQL does outside of transactions only, also beside another that waits to migrate', async () => {
    await file('0001_first.sql', 'CREATE TABLE things (n int)');
    await migrate(database.url, { folder });
    await file(
      '0002_second.sql',
      '-- no transaction\nDROP INDEX CONCURRENTLY IF EXISTS things_n;\n-- A comment;\nCREATE INDEX CONCURRENTLY things_n ON things (n);\n',
    );
    await Promise.all([migrate(database.url, { folder }), migrate(database.url, { folder })]);
    expect(await query(`SELECT indisvalid FROM pg_index WHERE indexrelid = 'things_n'::regclass`)).toEqual([
      { indisvalid: true },
    ]);
  });
});
