import { readFileSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import { judgeMigration, judgeMigrations } from '../../checks/migrations.ts';

const FOLDER = new URL('../../migrations/', import.meta.url);

/** Kinds of what is wrong, each once. */
async function kinds(text: string, name = '0042_more.sql'): Promise<string> {
  const findings = await judgeMigration(name, text, '0.4.0');
  return [...new Set(findings.map(({ kind }) => kind))].toSorted().join();
}

test('the migrations of this program are fit to be applied beside the version before', async () => {
  const { judged, findings } = await judgeMigrations(FOLDER, '0.1.0');
  expect(judged).toBeGreaterThan(0);
  expect(findings).toEqual([]);
});

test('one that builds a unique index under an exclusive lock is found, and where', async () => {
  const name = '0004_relay_shards_and_holds.sql';
  const findings = await judgeMigration(name, readFileSync(new URL(name, FOLDER), 'utf8'), '0.1.0');
  expect(findings).toContainEqual({
    name,
    line: 9,
    kind: 'stalls',
    reason: expect.stringContaining('USING INDEX') as unknown,
  });
});

describe('may be applied beside the version before, under load:', () => {
  it.each([
    'CREATE TABLE notes (id int PRIMARY KEY, n int NOT NULL UNIQUE); CREATE INDEX notes_n ON notes (n); ALTER TABLE notes ADD CHECK (n > 0)',
    'CREATE TABLE notes (id int); INSERT INTO notes VALUES (1); REVOKE DELETE ON notes FROM PUBLIC',
    'ALTER TABLE event_outbox ADD COLUMN region text',
    `ALTER TABLE event_outbox ADD COLUMN region text NOT NULL DEFAULT 'eu', ADD COLUMN at timestamptz DEFAULT now()`,
    `ALTER TABLE event_outbox ADD COLUMN at timestamptz NOT NULL DEFAULT '-infinity'::timestamptz`,
    'ALTER TABLE event_outbox SET (fillfactor = 60), ALTER COLUMN last_error DROP NOT NULL',
    'ALTER TABLE event_outbox VALIDATE CONSTRAINT event_outbox_region_check',
    '-- no transaction\nDROP INDEX CONCURRENTLY IF EXISTS by_region;\nCREATE INDEX CONCURRENTLY by_region ON event_outbox (region);',
    'CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN\n RETURN NEW;\n END $$',
    'UPDATE genesis_settings SET topic_ahead = false',
  ])('%s', async (text) => {
    expect(await kinds(text)).toBe('');
  });
});

describe('is refused:', () => {
  it.each([
    ['breaks', 'ALTER TABLE event_outbox DROP COLUMN region'],
    ['breaks', 'ALTER TABLE event_outbox RENAME COLUMN key TO session_id'],
    ['breaks', 'DROP TABLE operator_actions'],
    ['breaks', 'ALTER TABLE event_outbox DROP CONSTRAINT event_outbox_event_id_key'],
    ['breaks', 'ALTER TABLE event_outbox ADD COLUMN region text NOT NULL'],
    ['breaks', 'ALTER TABLE event_outbox ADD CHECK (shard < 8) NOT VALID'],
    ['breaks', 'REVOKE UPDATE ON event_outbox FROM PUBLIC'],
    ['breaks', '-- no transaction\nDROP INDEX CONCURRENTLY IF EXISTS genesis_sessions_user;'],
    [
      'breaks',
      '-- no transaction\nDROP INDEX CONCURRENTLY IF EXISTS u;\nCREATE UNIQUE INDEX CONCURRENTLY u ON event_outbox (region);',
    ],
    ['breaks,stalls', 'ALTER TABLE event_outbox ALTER COLUMN retry_count TYPE bigint'],
    ['breaks,stalls', 'ALTER TABLE event_outbox ALTER COLUMN region SET NOT NULL'],
    ['breaks,stalls', 'ALTER TABLE event_outbox ADD UNIQUE (key, sequence)'],
    ['breaks,stalls', 'ALTER TABLE event_outbox ADD CHECK (shard < 8)'],
    ['stalls', 'CREATE INDEX by_region ON event_outbox (region)'],
    ['stalls', 'ALTER TABLE event_outbox ADD COLUMN token uuid DEFAULT gen_random_uuid()'],
    ['stalls', 'ALTER TABLE event_outbox ADD COLUMN region text CHECK (region <> $$$$)'],
    ['stalls', `UPDATE event_outbox SET region = 'eu'`],
    ['form', 'CREATE TABLE copies AS SELECT 1'],
    ['form', 'DO $$ BEGIN END $$'],
    ['form', 'TRUNCATE relay_members'],
    ['form', `SET lock_timeout = '1min'`],
    ['form', 'ALTER TABLE event_outbox DISABLE TRIGGER ALL'],
    ['form', 'CREATE INDEX CONCURRENTLY by_region ON event_outbox (region)'],
    ['form', '-- no transaction\nCREATE TABLE a (n int); CREATE TABLE b (n int);'],
    ['form', '-- contract: unused since 0.3.0\nCREATE TABLE notes (n int)'],
  ])('%s: %s', async (expected, text) => {
    expect(await kinds(text)).toBe(expected);
  });
});

describe('what runs without a transaction', () => {
  const DROP = 'DROP INDEX CONCURRENTLY IF EXISTS by_region;';
  const CREATE = 'CREATE INDEX CONCURRENTLY by_region ON event_outbox (region);';
  const kindsOf = (...statements: readonly string[]) => kinds(['-- no transaction', ...statements].join('\n'));

  it('may be an index that is dropped and made: a run that broke off is made whole by the next one', async () => {
    const other = [DROP, CREATE].map((statement) => statement.replace('by_region', 'by_topic'));
    expect(await kindsOf(DROP, '-- why', CREATE, ...other)).toBe('');
  });

  it.each<[string, readonly string[]]>([
    ['an index that the next run finds there already', [CREATE]],
    ['one that is left as it is, though it is not whole', [DROP, CREATE.replace('Y by', 'Y IF NOT EXISTS by')]],
    ['one that is there until it is dropped', [CREATE, DROP]],
    ['one of another name', [DROP, CREATE, CREATE.replace('by_region', 'by_topic')]],
    ['two, of which one is dropped twice', [DROP, DROP, CREATE, CREATE.replace('by_region', 'by_topic')]],
    ['one without a name', [DROP, CREATE, CREATE.replace('by_region', '')]],
    ['one that may not be dropped twice', [DROP.replace(' IF EXISTS', ''), CREATE]],
    ['anything else', ['CREATE TABLE notes (id int);']],
    ['anything else beside it', [DROP, CREATE, 'UPDATE genesis_settings SET topic_ahead = false;']],
  ])('may not be %s', async (_what, statements) => {
    expect(await kindsOf(...statements)).toMatch(/form/u);
  });

  it('may be an index that goes for good: it can be dropped again', async () => {
    const text = `-- contract: unused since 0.3.0\n-- no transaction\n${DROP}`;
    expect(await kinds(text, '0043_contract_region.sql')).toBe('');
  });
});

describe('a migration that takes something away', () => {
  const drop = 'ALTER TABLE event_outbox DROP COLUMN region';
  const name = '0043_contract_region.sql';

  it('says since which version nobody needs it, and that is one before its own', async () => {
    expect(await kinds(`-- contract: unused since 0.3.0\n${drop}`, name)).toBe('');
    expect(await kinds(`-- contract: unused since 0.4.0\n${drop}`, name)).toBe('form');
    expect(await kinds(drop, name)).toBe('form');
  });

  it('may not keep commands waiting either', async () => {
    const type = 'ALTER TABLE event_outbox ALTER COLUMN retry_count TYPE bigint';
    expect(await kinds(`-- contract: unused since 0.3.9\n${type}`, name)).toBe('stalls');
  });
});
