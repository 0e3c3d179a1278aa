import { readFileSync } from 'node:fs';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SessionId } from '../../src/genesis/ids.ts';
import { startOutboxRig, type OutboxRig } from './outbox-admin-rig.ts';

/** Rows that are SENT, in sessions of ten. Whoever reads them all reads thousands of pages. */
const SENT = 60_000;
const NO_FILTER = [null, null, null, null, null, null];
const FIRST = '00000000-0000-0000-0000-000000000000';

let rig: OutboxRig;
let client: pg.PoolClient;
let stuck: SessionId;
let end: number;

beforeAll(async () => {
  rig = await startOutboxRig();
  await rig.query(`
    INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers, status, sent_at, partition, "offset")
    SELECT uuidv7(), 't', key, shard, sequence, repeat('x', 300), '{"ce_type": "Genesis.Session.Submitted"}', 'SENT', now(), shard, 1
    FROM (SELECT uuidv7() AS key, i % 8 AS shard FROM generate_series(1, ${SENT / 10}) AS i) AS sessions,
         generate_series(1, 10) AS sequence`);
  await rig.query('UPDATE relay_shards SET floor = (SELECT max(id) + 1 FROM event_outbox)');
  stuck = await rig.session(50, 1);
  await rig.send(stuck, 1);
  await rig.fail(stuck, 2);
  await rig.session(50, 2);
  end = await rig.idOf(stuck, 50);
  await rig.query('VACUUM ANALYZE');
  client = await rig.pool.connect();
  // What a prepared statement of a pooled connection ends up with: a plan that knows no values.
  await client.query('SET plan_cache_mode = force_generic_plan');
});
afterAll(async () => {
  client.release(true);
  await rig.stop();
});

interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Shared Hit Blocks': number;
  readonly 'Shared Read Blocks': number;
  readonly Plans?: readonly Plan[];
}

const nodesOf = (plan: Plan): readonly Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];

async function explain(name: string, values: readonly unknown[]): Promise<Plan> {
  const text = readFileSync(new URL(`../../src/postgres/sql/ops/${name}.sql`, import.meta.url), 'utf8');
  const literal = (value: unknown) => {
    if (value === null) return 'NULL';
    return client.escapeLiteral(Array.isArray(value) ? `{${value.join()}}` : `${value as string | number | boolean}`);
  };
  await client.query('BEGIN');
  await client.query(`PREPARE planned AS ${text}`);
  try {
    const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
      `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE planned(${values.map(literal).join()})`,
    );
    const [explained] = rows;
    if (explained === undefined) throw new Error('nothing was explained');
    return explained['QUERY PLAN'][0].Plan;
  } finally {
    await client.query('ROLLBACK');
    await client.query('DEALLOCATE planned');
  }
}

const WAITING = ['PENDING', 'FAILED', 'DISCARDED'];
const deed = ['01890a5d-ac96-774b-bcce-b302099a8057', 'olga', 'cli', '{}', 'a test'];

test.each([
  ['count-ordinary', () => [end - 40, 10_000], 150],
  ['count-ordinary', () => [1, 1_000], 200],
  ['count-held', () => [FIRST, 1_000, 10_000, 20_000], 40],
  ['find-held', () => [WAITING, ...NO_FILTER, FIRST, 0, 500, 10_000, 101], 40],
  ['find-ordinary', () => [['PENDING'], ...NO_FILTER, null, 10_000, 101], 150],
  ['find-ordinary', () => [['PENDING'], ...NO_FILTER, 1, 1_000, 101], 150],
  ['find-settled', () => [['SENT'], ...NO_FILTER, null, 10_000, 101], 150],
  ['find-settled', () => [['DISCARDED'], ...NO_FILTER, null, 1_000, 101], 150],
  ['find-of-session', () => [WAITING, ...NO_FILTER, 0, 10_000, 101, stuck, null], 40],
  ['find-by-ids', () => [WAITING, ...NO_FILTER, [end, 7], 0, null, null, 101], 20],
  ['end-held', () => [FIRST, 500], 10],
  ['end-ordinary', () => [null, null, null, null, 10_000], 150],
  ['end-settled', () => [null, null, null, 1_000], 150],
  ['end-of-session', () => [stuck, 0, 1_000], 20],
  ['holds-of', () => [[stuck]], 20],
  ['session-waiting', () => [stuck, 1_000], 60],
  ['session-last-settled', () => [stuck, 2], 10],
  ['retry-rows', () => [[end, end - 48], ...deed], 120],
  ['discard-rows', () => [[end, end - 48], ...deed, false], 120],
] as const)('%s reads what it needs by an index, and no more: case %#', async (name, values, most) => {
  const plan = await explain(name, values());
  const scans = nodesOf(plan).filter((node) => node['Relation Name'] === 'event_outbox');
  expect(scans.map((node) => node['Node Type'])).not.toContain('Seq Scan');
  expect(plan['Shared Hit Blocks'] + plan['Shared Read Blocks']).toBeLessThanOrEqual(most);
});
