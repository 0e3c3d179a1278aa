import { readFileSync } from 'node:fs';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BY_INDEX, createPool, DEFAULT_LIMITS } from '../../src/postgres/pool.ts';
import { silent } from '../support/commands.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const SESSIONS = 20_000;

let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  // As the API's connections are.
  pool = createPool({ url: database.url, poolSize: 1 }, 'test', silent, DEFAULT_LIMITS, BY_INDEX);
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Index Cond'?: string;
  readonly Plans?: readonly Plan[];
}

const nodes = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodes)];

/** How tables are read by a plan that knows no values: which index, and by which columns. */
async function ways(name: string): Promise<string[]> {
  const text = readFileSync(new URL(`../../src/postgres/sql/commands/${name}.sql`, import.meta.url), 'utf8');
  const { rows } = await pool.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(`EXPLAIN (GENERIC_PLAN, FORMAT JSON) ${text}`);
  const root = rows[0]?.['QUERY PLAN'][0].Plan;
  if (root === undefined) throw new Error('nothing was explained');
  return nodes(root)
    .filter((node) => node['Node Type'].endsWith('Scan') && node['Relation Name'] !== undefined)
    .map((node) => `${node['Node Type']} ${node['Index Name'] ?? ''}: ${columnsOf(node['Index Cond'] ?? '')}`)
    .toSorted();
}

function columnsOf(condition: string): string {
  const columns = condition.matchAll(/\b(id|session_id|user_id|idempotency_key) = /gu).map(([, column]) => column);
  return [...new Set(columns)].join(', ');
}

async function expectLookUps(): Promise<void> {
  expect(await ways('lock-sessions')).toEqual(['Index Scan genesis_sessions_pkey: session_id']);
  expect(await ways('read-inbox')).toEqual([
    'Index Scan command_inbox_create_key: user_id, idempotency_key',
    'Index Scan command_inbox_idempotency_key: session_id, user_id, idempotency_key',
    'Index Scan command_inbox_unfinished: session_id',
  ]);
  // Of a table that was found to be empty any index is as good.
  expect(await ways('finish-commands')).toEqual([
    expect.stringMatching(/^Index Scan command_inbox_(?:pkey: id|session: session_id, id)$/u),
  ]);
  expect(await ways('update-sessions')).toEqual(['Index Scan genesis_sessions_pkey: session_id']);
}

test('each row of a batch is looked up by its index, whatever the statistics say', { timeout: 60_000 }, async () => {
  await expectLookUps();
  await pool.query('ANALYZE');
  await expectLookUps();
  await pool.query(`
    INSERT INTO genesis_sessions
    SELECT uuidv7(), 'user', 'IN_PROGRESS', 'CONCEPT_SELECTION', 't', NULL, '{}', 1, uuidv7(), NULL, NULL, 1, now(), now()
    FROM generate_series(1, ${SESSIONS}) AS i`);
  await expectLookUps();
  // One author has them all: to skip through the index by authors seems cheap.
  await pool.query('ANALYZE');
  await expectLookUps();
  await pool.query(`
    INSERT INTO command_inbox
    SELECT uuidv7(), session_id, user_id, 'SubmitFeedback', 'key', 'print', '{}', 'COMPLETED', '{}', 1, 1, NULL, NULL, now(), now()
    FROM genesis_sessions`);
  await expectLookUps();
  await pool.query('VACUUM ANALYZE');
  await expectLookUps();
});
