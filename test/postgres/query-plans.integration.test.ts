import { readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

/** Sessions with one event each, but one: the planner thinks little of how many a session may have. */
const SESSIONS = 20_000;
const LONG = 5_000;
const ABOVE_ALL = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

let database: TestDatabase;
let client: pg.Client;
let long: string;
let sessions: string[];

beforeAll(async () => {
  database = await createTestDatabase();
  client = new pg.Client(database.url);
  await client.connect();
  await fill();
  // What a prepared statement of a pooled connection ends up with: a plan that knows no values.
  await client.query('SET plan_cache_mode = force_generic_plan');
});
afterAll(async () => {
  await client.end();
  await database.drop();
});

async function fill(): Promise<void> {
  await client.query(`
    INSERT INTO genesis_sessions
    SELECT uuidv7(), 'user' || i % 10, 'IN_PROGRESS', 'CONCEPT_SELECTION', 't', NULL, '{}', 1, uuidv7(), NULL, NULL, 1, now(), now()
    FROM generate_series(1, ${SESSIONS}) AS i`);
  const { rows } = await client.query<{ session_id: string }>('SELECT session_id FROM genesis_sessions LIMIT 1000');
  sessions = rows.map((row) => row.session_id);
  long = sessions[0] ?? '';
  await client.query(`
    INSERT INTO domain_events
    SELECT uuidv7(), 'GENESIS_SESSION', session_id, 1, 'Genesis.Session.Created', 1, '{}', '{}', uuidv7(), uuidv7(), now()
    FROM genesis_sessions`);
  await client.query(
    `INSERT INTO domain_events
     SELECT uuidv7(), 'GENESIS_SESSION', $1, i, 'Genesis.Session.Submitted', 1, '{}', '{}', uuidv7(), uuidv7(), now()
     FROM generate_series(2, ${LONG}) AS i`,
    [long],
  );
  await client.query(`
    INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers)
    SELECT event_id, 't', aggregate_id, 1, aggregate_version, '{}', '{}' FROM domain_events`);
  await client.query(`
    INSERT INTO command_inbox
    SELECT uuidv7(), aggregate_id, 'u', 'SubmitFeedback', NULL, NULL, '{}', 'COMPLETED', '{}', aggregate_version, aggregate_version,
           NULL, NULL, now(), now()
    FROM domain_events`);
  await client.query(
    `INSERT INTO event_outbox_holds (key, shard, next_sequence)
     SELECT session_id, 1, 1 FROM genesis_sessions WHERE session_id <> $1 LIMIT 5000`,
    [long],
  );
  await client.query('VACUUM ANALYZE');
}

interface Plan {
  readonly 'Node Type': string;
  readonly 'Shared Hit Blocks': number;
  readonly 'Shared Read Blocks': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Rows Removed by Join Filter'?: number;
  readonly Plans?: readonly Plan[];
}

const nodesOf = (plan: Plan): readonly Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
const inVain = (plan: Plan) => (plan['Rows Removed by Filter'] ?? 0) + (plan['Rows Removed by Join Filter'] ?? 0);

async function explain(name: string, values: readonly unknown[]): Promise<Plan> {
  const text = readFileSync(new URL(`../../src/postgres/sql/${name}.sql`, import.meta.url), 'utf8');
  const literals = values.map((value) =>
    client.escapeLiteral(Array.isArray(value) ? `{${value.join()}}` : String(value)),
  );
  await client.query(`PREPARE planned AS ${text}`);
  try {
    const arguments_ = literals.map((literal, index) => (values[index] === null ? 'NULL' : literal)).join();
    const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
      `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE planned(${arguments_})`,
    );
    const [explained] = rows;
    if (explained === undefined) throw new Error('nothing was explained');
    return explained['QUERY PLAN'][0].Plan;
  } finally {
    await client.query('DEALLOCATE planned');
  }
}

const page = Array.from({ length: 100 }, (_, index) => LONG - index);

test.each([
  ['sessions/list-own', () => ['user1', ABOVE_ALL, null, null, 101], 150],
  ['sessions/list-own', () => ['nobody', ABOVE_ALL, null, null, 101], 10],
  ['sessions/list-all', () => [ABOVE_ALL, null, null, 101], 20],
  ['commands-read/list', () => [long, ABOVE_ALL, null, null, 101], 20],
  ['commands-read/caused-events', () => [long, page, page], 1_500],
  ['events/history', () => [long, LONG / 2, 101, 1e6], 20],
  [
    'events/new-events',
    () => [sessions, sessions.map((session) => (session === long ? LONG : 1)), 50, 65_536, 2_000, 4e6],
    5_000,
  ],
  ['events/new-events', () => [[long], [0], 50, 65_536, 2_000, 4e6], 20],
] as const)('%s reads what it needs by an index: case %#', async (name, values, most) => {
  const plan = await explain(name, values());
  const types = nodesOf(plan).map((node) => node['Node Type']);
  expect(types).not.toContain('Seq Scan');
  expect(types).not.toContain('Bitmap Heap Scan');
  expect(nodesOf(plan).map(inVain)).toEqual(types.map(() => 0));
  expect(plan['Shared Hit Blocks'] + plan['Shared Read Blocks']).toBeLessThanOrEqual(most);
});
