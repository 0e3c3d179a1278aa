import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPool } from '../../src/postgres/pool.ts';
import { createRead } from '../../src/postgres/read.ts';
import { misfit } from '../../src/postgres/schema-fit.ts';
import { readSettings } from '../../src/postgres/settings.ts';
import { silent } from '../support/commands.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

describe('the schema of a database and a program', () => {
  const known = ['0001_a.sql', '0002_b.sql', '0003_contract_c.sql'];

  it.each([
    ['is its own', known],
    ['has all but what is to be taken away once no earlier version is at work', ['0001_a.sql', '0002_b.sql']],
    ['is newer, and only has more', [...known, '0004_d.sql', '0005_e.sql']],
  ])('fit when it %s', (_, applied) => {
    expect(misfit(known, applied)).toBeNull();
  });

  it('do not fit when the database lacks something', () => {
    expect(misfit(known, ['0001_a.sql'])).toMatch(/lacks 0002_b\.sql\): run `npx genesis migrate` first/);
  });

  it('do not fit when something was taken away that the program may need', () => {
    expect(misfit(known, [...known, '0007_contract_g.sql'])).toMatch(
      /left this version behind \(0007_contract_g\.sql\)/,
    );
  });
});

describe('a program that starts', () => {
  let database: TestDatabase;
  let pool: pg.Pool;

  beforeEach(async () => {
    database = await createTestDatabase();
    pool = createPool({ url: database.url, poolSize: 1 }, 'test', silent);
  });
  afterEach(async () => {
    await pool.end();
    await database.drop();
  });

  it('works on a database that has more', async () => {
    await pool.query(`INSERT INTO genesis_migrations (name, checksum) VALUES ('9000_more.sql', '')`);
    expect(await readSettings(createRead(pool, 5_000))).toEqual({ shards: 8 });
  });

  it('refuses one that lacks something, before it has done anything', async () => {
    await pool.query(`DELETE FROM genesis_migrations WHERE name LIKE '0005%'`);
    await expect(readSettings(createRead(pool, 5_000))).rejects.toThrow(/lacks 0005_operator_actions\.sql/);
  });

  it('says which right its user lacks, and how to grant it', async () => {
    const user = `lesser_${randomUUID().slice(0, 8)}`;
    await pool.query(`CREATE ROLE ${user} LOGIN PASSWORD 'p'; GRANT SELECT ON genesis_settings TO ${user}`);
    const url = new URL(database.url);
    [url.username, url.password] = [user, 'p'];
    const lesser = createPool({ url: url.href, poolSize: 1 }, 'test', silent);
    try {
      await expect(readSettings(createRead(lesser, 5_000))).rejects.toThrow(
        `user ${user} may not read genesis_migrations: as the owner of the tables, GRANT SELECT ON genesis_migrations TO "${user}";`,
      );
      await pool.query(`GRANT SELECT ON genesis_migrations TO "${user}"`);
      expect(await readSettings(createRead(lesser, 5_000))).toEqual({ shards: 8 });
    } finally {
      await lesser.end();
      await pool.query(`DROP OWNED BY ${user}; DROP ROLE ${user}`);
    }
  });

  it('refuses one that has left it behind', async () => {
    await pool.query(`INSERT INTO genesis_migrations (name, checksum) VALUES ('9000_contract_more.sql', '')`);
    await expect(readSettings(createRead(pool, 5_000))).rejects.toThrow(/left this version behind/);
  });
});
