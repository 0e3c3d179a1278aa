import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { SHARDS, startOutboxRig, type OutboxRig } from './outbox-rig.ts';

let rig: OutboxRig;
const PAGE = 2_000;
const KEY = "('00000000-0000-7000-8000-' || lpad(%s::text, 12, '0'))::uuid";

beforeAll(async () => {
  rig = await startOutboxRig();
  await rig.run('ALTER TABLE event_outbox SET (autovacuum_enabled = off)');
  await rig.run(text('session'), ['force_generic_plan']);
});
afterAll(() => rig.stop());
beforeEach(() => rig.reset());

function text(name: string): string {
  return readFileSync(new URL(`../../src/postgres/sql/outbox/${name}.sql`, import.meta.url), 'utf8');
}

/** Rows of as many sessions, one after another. */
async function fill(count: number, status: 'SENT' | 'PENDING', sessions: number): Promise<void> {
  await rig.run(
    `INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers, status, sent_at)
     SELECT gen_random_uuid(), 'events', ${KEY.replace('%s', '(n % $2)')}, n % 8,
            (SELECT coalesce(max(sequence), 0) FROM event_outbox) + n / $2 + 1, '{}', '{}', $3, CASE WHEN $3 = 'SENT' THEN now() END
     FROM generate_series(1, $1) AS n`,
    [count, sessions, status],
  );
}

interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Shared Hit Blocks': number;
  readonly 'Shared Read Blocks': number;
  readonly Plans?: readonly Plan[];
}

const nodes = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodes)];

/** By a plan that is kept, and knows no values. */
async function explain(name: string, values: readonly unknown[]): Promise<readonly Plan[]> {
  await rig.run(`PREPARE asked AS ${text(name)}`);
  try {
    return await execute('asked', values);
  } finally {
    await rig.run('DEALLOCATE asked');
  }
}

async function execute(prepared: string, values: readonly unknown[]): Promise<readonly Plan[]> {
  const parameters = values.length === 0 ? '' : `(${values.map(literal).join(', ')})`;
  const { rows } = await rig.admin.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
    `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE ${prepared}${parameters}`,
  );
  const root = rows[0]?.['QUERY PLAN'][0].Plan;
  if (root === undefined) throw new Error('nothing was explained');
  return nodes(root);
}

function literal(value: unknown): string {
  return `'${Array.isArray(value) ? `{${value.join(',')}}` : String(value)}'`;
}

/** How each table is read, and how many rows of event_outbox were looked at. */
function ways(plan: readonly Plan[]): { readonly ways: readonly string[]; readonly rows: number } {
  const scans = plan.filter(
    (node) => node['Node Type'].endsWith('Scan') && /^(?:event_|relay_)/u.test(node['Relation Name'] ?? ''),
  );
  const rows = scans
    .filter((node) => node['Relation Name'] === 'event_outbox')
    .map((node) => (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops']);
  return {
    ways: scans.map((node) => `${node['Node Type']} ${node['Index Name']}`).toSorted(),
    rows: rows.reduce((sum, count) => sum + count, 0),
  };
}

const claim = (floor: number, shards = SHARDS, alsoHeld = true) =>
  explain('claim', [1, shards, floor, PAGE, 16 * 1024 * 1024, [], [], alsoHeld]);

it('a claim reads the rows from its floor on, whatever the planner believes', { timeout: 120_000 }, async () => {
  const expectGoodPlan = async (floor: number, looked: number) => {
    const plan = ways(await claim(floor));
    expect(plan.ways.filter((way) => way.includes('outbox'))).toEqual([
      // Whether one of ours may go on, whether there are any, and whether the row's session is among them.
      expect.stringMatching(/^Index (?:Only )?Scan event_outbox_holds/u),
      expect.stringMatching(/^Index (?:Only )?Scan event_outbox_holds/u),
      expect.stringMatching(/^Index (?:Only )?Scan event_outbox_holds/u),
      'Index Scan event_outbox_pkey',
    ]);
    expect(plan.rows).toBe(looked);
  };
  // There are no statistics at all.
  await fill(60_000, 'PENDING', 5_000);
  await expectGoodPlan(1, PAGE);
  await rig.run('ANALYZE event_outbox');
  await expectGoodPlan(1, PAGE);
  // The statistics still say that all is PENDING.
  await rig.run("UPDATE event_outbox SET status = 'SENT', sent_at = now() WHERE id <= 59000");
  await expectGoodPlan(59_001, 1_000);
  await rig.run('VACUUM ANALYZE event_outbox');
  await expectGoodPlan(59_001, 1_000);
  await expectGoodPlan(58_501, 1_500);
  // And now that hardly anything is; and of ids that they have never heard of.
  await fill(40_000, 'PENDING', 5_000);
  await expectGoodPlan(59_001, PAGE);
  await expectGoodPlan(70_001, PAGE);
});

it('neither do many holds, which it has not counted, lead it astray', { timeout: 120_000 }, async () => {
  await rig.run('ANALYZE event_outbox_holds');
  await fill(20_000, 'PENDING', 4_000);
  await rig.run("UPDATE event_outbox SET status = 'FAILED', last_error = 'x' WHERE id <= 3000");
  const plan = await claim(1);
  expect(plan.map((node) => node['Node Type'])).not.toContain('Seq Scan');
  // 2,000 rows of those 1,000 sessions that go on: one look each at the rows in between, too.
  expect(ways(plan).rows).toBeLessThanOrEqual(9_000);
  expect((await rig.claim({ limit: PAGE })).rows).toHaveLength(PAGE);
});

it('sessions on hold are read from where they have come to', { timeout: 120_000 }, async () => {
  await fill(30_000, 'SENT', 3);
  await fill(300, 'PENDING', 3);
  await rig.run("UPDATE event_outbox SET status = 'FAILED', last_error = 'x' WHERE status = 'PENDING' AND id <= 30003");
  await rig.run("UPDATE event_outbox SET status = 'PENDING' WHERE status = 'FAILED'");
  const looked = async () => ways(await explain('claim-held', [SHARDS, 50, 16 * 1024 * 1024, [], []]));
  for (const statistics of ['', 'ANALYZE', 'VACUUM ANALYZE']) {
    if (statistics !== '') await rig.run(statistics);
    const { ways: by, rows } = await looked();
    expect(by).toEqual([
      expect.stringMatching(/^Index Scan event_outbox_holds/u),
      'Index Scan event_outbox_key_sequence_key',
    ]);
    expect(rows).toBeLessThanOrEqual(150);
  }
});

interface NamedRow {
  readonly id: number;
  readonly key: string;
  readonly sequence: number;
  readonly event_id: string;
}

/** What is looked up by its name, and what the connection's plan_cache_mode is then. */
function lookUps(rows: readonly NamedRow[]): readonly (readonly [string, readonly unknown[], string])[] {
  const column = <Name extends keyof NamedRow>(name: Name) => rows.map((row) => row[name]);
  const [zeros, places] = [rows.map(() => 0), rows.map((_, n) => n)];
  const found = [zeros, places, column('key'), column('sequence'), column('event_id'), zeros.map(() => false)];
  return [
    ['mark-found', found, 'force_custom_plan'],
    ['mark-sent', [column('id'), zeros, places], 'force_custom_plan'],
    ['mark-free', [column('id'), zeros, places], 'force_custom_plan'],
    ['not-settled', [column('id')], 'force_custom_plan'],
    ['find-known', [column('event_id')], 'force_generic_plan'],
    ['charge', [rows[0]?.id ?? 1, 1, 1, 'too large', 'fail', 0], 'force_generic_plan'],
    ['settle-holds', [1, column('key')], 'force_generic_plan'],
    ['next-retry', [1, SHARDS, []], 'force_generic_plan'],
    ['horizon', [], 'force_generic_plan'],
  ];
}

async function someRows(): Promise<readonly NamedRow[]> {
  const first = 'SELECT id::float8 AS id, key, sequence, event_id FROM event_outbox ORDER BY id LIMIT 500';
  return (await rig.admin.query<NamedRow>(first)).rows;
}

async function expectFewRows(name: string, asked: () => Promise<readonly Plan[]>): Promise<void> {
  await rig.run('BEGIN');
  const plan = await asked();
  await rig.run('ROLLBACK');
  const outbox = plan.filter((node) => node['Relation Name'] === 'event_outbox');
  expect([name, outbox.map((node) => node['Node Type']).filter((type) => type === 'Seq Scan')]).toEqual([name, []]);
  expect([name, ways(plan).rows <= 1_500]).toEqual([name, true]);
}

it('what is looked up by its name is looked up by an index', { timeout: 60_000 }, async () => {
  await fill(20_000, 'PENDING', 4_000);
  for (const [name, values] of lookUps(await someRows())) await expectFewRows(name, () => explain(name, values));
});

it('also when its plan was first made while the table was empty', { timeout: 60_000 }, async () => {
  await rig.run('VACUUM ANALYZE event_outbox');
  const none = lookUps([]);
  for (const [name, values, mode] of none) {
    await rig.run(`SET plan_cache_mode TO ${mode}`);
    await rig.run(`PREPARE "${name}" AS ${text(name)}`);
    await execute(`"${name}"`, values);
  }
  await fill(20_000, 'PENDING', 4_000);
  for (const [name, values, mode] of lookUps(await someRows())) {
    await rig.run(`SET plan_cache_mode TO ${mode}`);
    await expectFewRows(name, () => execute(`"${name}"`, values));
  }
  for (const [name] of none) await rig.run(`DEALLOCATE "${name}"`);
  await rig.run('SET plan_cache_mode TO force_generic_plan');
});

it('a mark touches no index, beside a transaction that stays open, too', { timeout: 60_000 }, async () => {
  const counts = `SELECT n_tup_upd::int AS updated, n_tup_hot_upd::int AS hot FROM pg_stat_user_tables WHERE relname = 'event_outbox'`;
  await rig.run(`INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers)
     SELECT gen_random_uuid(), 'domain-events', ${KEY.replace('%s', 'n')}, n % 8, 1,
            repeat(md5(n::text), 19 + n % 10), json_build_object('ce_id', repeat(md5(n::text), 12))
     FROM generate_series(1, 4000) AS n`);
  const other = await rig.connect();
  await other.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM event_outbox');
  const before = await statistics();
  for (let n = 0; n < 4; n += 1) await rig.publish((await rig.claim({ limit: 1_000 })).rows);
  await other.end();
  const after = await statistics();
  expect(after.updated - before.updated).toBe(4_000);
  // Rows of unequal length may leave a page that is a little more than half full.
  expect((after.hot - before.hot) / 4_000).toBeGreaterThan(0.98);

  async function statistics() {
    await rig.flushStatistics();
    return (await rig.value<{ updated: number; hot: number }>(counts)) ?? { updated: 0, hot: 0 };
  }
});

it('a claim of shards that are not ours, are paused, or wait for the topic to be imported reads no row', async () => {
  await fill(3_000, 'PENDING', 30);
  await rig.run('UPDATE relay_shards SET paused = true');
  expect(ways(await claim(1)).rows).toBe(0);
});

it('of many sessions on hold that may go on, a claim reads about as many rows as it gives', async () => {
  await fill(12_000, 'PENDING', 300);
  await rig.run(
    'INSERT INTO event_outbox_holds (key, shard, next_sequence) SELECT key, min(shard), 1 FROM event_outbox GROUP BY key',
  );
  const plan = await explain('claim-held', [SHARDS, 300, 16 * 1024 * 1024, [], []]);
  expect(plan[0]?.['Actual Rows']).toBe(300);
  expect(ways(plan).rows).toBeLessThanOrEqual(2 * 300);
});

/** How many holds were looked at to find those that may go on, and by which index. */
function waitingHolds(plan: readonly Plan[]): { readonly by: readonly string[]; readonly rows: number } {
  const scans = plan.filter((node) => node['Index Name'] === 'event_outbox_holds_waiting');
  const looked = scans.map(
    (node) => (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops'],
  );
  return { by: scans.map((node) => node['Node Type']), rows: looked.reduce((sum, count) => sum + count, 0) };
}

it('of many sessions on hold only those of the shards asked for are looked at, and few of them', async () => {
  await fill(6_000, 'PENDING', 6_000);
  await rig.run(
    `INSERT INTO event_outbox_holds (key, shard, next_sequence, blocked_by, waits_until)
     SELECT gen_random_uuid(), n % 4, 1, CASE WHEN n % 3 = 0 THEN 1 END,
            CASE WHEN n % 3 = 0 THEN now() + interval '10 minutes' ELSE '-infinity' END
     FROM generate_series(1, 12000) AS n`,
  );
  for (const statistics of ['', 'ANALYZE', 'VACUUM ANALYZE']) {
    if (statistics !== '') await rig.run(statistics);
    // One of each shard says that there are some.
    expect([statistics, waitingHolds(await claim(1))]).toEqual([statistics, { by: [expect.anything()], rows: 4 }]);
    expect([statistics, waitingHolds(await claim(1, [4, 5, 6, 7])).rows]).toEqual([statistics, 0]);
    expect([statistics, waitingHolds(await claim(1, SHARDS, false)).rows]).toEqual([statistics, 0]);
    const held = await explain('claim-held', [SHARDS, 50, 16 * 1024 * 1024, [], []]);
    expect([statistics, waitingHolds(held)]).toEqual([statistics, { by: ['Index Scan'], rows: 4 * 50 }]);
  }
});
