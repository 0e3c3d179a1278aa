import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { v7 as uuid } from 'uuid';
import { createRelayLease } from '../../src/postgres/relay-lease.ts';
import type { HeldLease } from '../../src/relay/ports.ts';
import { afterRefusal } from '../../src/relay/retry-policy.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let admin: pg.Client;
let held: HeldLease;

beforeAll(async () => {
  database = await createTestDatabase();
  admin = new pg.Client({ connectionString: database.url });
  await admin.connect();
});

afterAll(async () => {
  await admin.end();
  await database.drop();
});

beforeEach(async () => {
  held = await createRelayLease(database.url).acquire(new AbortController().signal);
});

afterEach(async () => {
  await held.release();
  await admin.query('ALTER TABLE event_outbox DISABLE TRIGGER USER');
  await admin.query('TRUNCATE event_outbox RESTART IDENTITY');
  await admin.query('ALTER TABLE event_outbox ENABLE TRIGGER USER');
});

async function insert(session: string, sequence: number, payload = '{}'): Promise<number> {
  const { rows } = await admin.query<{ id: string }>(
    `INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers)
     VALUES ($1, 'events', $2, 3, $3, $4, '{"b":"1","a":"2"}') RETURNING id`,
    [uuid(), session, sequence, payload],
  );
  return Number(rows[0]?.id);
}

async function claimed(limit = 100): Promise<number[]> {
  return (await held.store.claim(limit)).map(({ id }) => id);
}

async function statusOf(id: number): Promise<unknown> {
  const { rows } = await admin.query<{ status: string }>('SELECT status FROM event_outbox WHERE id = $1', [id]);
  return rows[0]?.status;
}

test('a claim gives PENDING rows, lowest id first, as they were written', async () => {
  const session = uuid();
  const ids = [await insert(session, 1, '{"z":1,"a":"é"}'), await insert(session, 2)];
  const [first] = await held.store.claim(1);
  expect(first).toMatchObject({
    id: ids[0],
    topic: 'events',
    key: session,
    shard: 3,
    sequence: 1,
    payload: '{"z":1,"a":"é"}',
    retryCount: 0,
    maxRetries: 3,
  });
  expect(Object.keys(first?.headers ?? {})).toEqual(['b', 'a']);
  expect(Math.abs(Number(first?.createdAt) - Date.now())).toBeLessThan(60_000);
  expect(await claimed()).toEqual(ids);
});

test('a row that waits for its retry holds its session, and only that', async () => {
  const [one, two] = [uuid(), uuid()];
  const ids = [await insert(one, 1), await insert(two, 1), await insert(one, 2), await insert(two, 2)];
  // The seventh retry comes after 64 s.
  await admin.query('UPDATE event_outbox SET retry_count = 6 WHERE id = $1', [ids[0]]);
  await held.store.scheduleRetry({ id: Number(ids[0]), error: 'too large' }, 60_000);
  expect(await claimed()).toEqual([ids[1], ids[3]]);
  const wait = await held.store.nextRetryIn();
  expect(wait).toBeGreaterThan(50_000);
  expect(wait).toBeLessThanOrEqual(60_000);
  await admin.query("UPDATE event_outbox SET scheduled_at = now() - interval '1 ms' WHERE retry_count > 0");
  expect(await held.store.nextRetryIn()).toBe(0);
  expect(await claimed()).toEqual(ids);
  const { rows } = await admin.query('SELECT retry_count, last_error FROM event_outbox WHERE id = $1', [ids[0]]);
  expect(rows).toEqual([{ retry_count: 7, last_error: 'too large' }]);
});

test('a FAILED row holds its later rows, not its earlier ones', async () => {
  const session = uuid();
  const ids = [await insert(session, 1), await insert(session, 2), await insert(session, 3)];
  await held.store.markFailed({ id: Number(ids[1]), error: 'too large' });
  expect(await claimed()).toEqual([ids[0]]);
  expect(await held.store.nextRetryIn()).toBeNull();
  await admin.query("UPDATE event_outbox SET status = 'PENDING' WHERE status = 'FAILED'");
  expect(await claimed()).toEqual(ids);
});

test('a clock that was set back hides no row: scheduled_at counts after a refusal only', async () => {
  const session = uuid();
  const ids = [await insert(session, 1), await insert(session, 2)];
  await admin.query("UPDATE event_outbox SET scheduled_at = now() + interval '1 hour' WHERE id = $1", [ids[0]]);
  expect(await claimed()).toEqual(ids);
});

test('a retry that lies further ahead than any retry is put off is due: the clock was set back', async () => {
  const session = uuid();
  const ids = [await insert(session, 1), await insert(session, 2)];
  await held.store.scheduleRetry({ id: Number(ids[0]), error: 'too large' }, 1_000);
  await admin.query("UPDATE event_outbox SET scheduled_at = scheduled_at + interval '1 hour' WHERE id = $1", [ids[0]]);
  expect(await held.store.nextRetryIn()).toBe(0);
  expect(await claimed()).toEqual(ids);
});

test('however many retries a row may have, each is waited for', async () => {
  const session = uuid();
  const id = await insert(session, 1);
  for (let retryCount = 6; retryCount < 20; retryCount += 1) {
    const next = afterRefusal({ retryCount, maxRetries: 99 });
    await admin.query('UPDATE event_outbox SET retry_count = $2 WHERE id = $1', [id, retryCount]);
    await held.store.scheduleRetry({ id, error: 'too large' }, next.kind === 'retry' ? next.delayMs : 0);
    expect(await claimed()).toEqual([]);
    expect(await held.store.nextRetryIn()).toBeGreaterThan(30_000);
  }
});

test('only PENDING rows become SENT', async () => {
  const session = uuid();
  const [first, second, third] = [await insert(session, 1), await insert(session, 2), await insert(session, 3)];
  await admin.query("UPDATE event_outbox SET status = 'DISCARDED' WHERE id = $1", [second]);
  await held.store.markSent([
    { id: first, partition: 3, offset: '9007199254740993' },
    { id: second, partition: 3, offset: '8' },
  ]);
  const { rows } = await admin.query(
    'SELECT status, partition, "offset", sent_at IS NOT NULL AS dated FROM event_outbox ORDER BY id',
  );
  expect(rows).toEqual([
    { status: 'SENT', partition: 3, offset: '9007199254740993', dated: true },
    { status: 'DISCARDED', partition: null, offset: null, dated: false },
    { status: 'PENDING', partition: null, offset: null, dated: false },
  ]);
  await held.store.markFailed({ id: first, error: 'x' });
  await held.store.scheduleRetry({ id: second, error: 'x' }, 1);
  expect([await statusOf(first), await statusOf(second), await statusOf(third)]).toEqual([
    'SENT',
    'DISCARDED',
    'PENDING',
  ]);
});

test('a claim is bounded by bytes, but never empty because of them', async () => {
  const session = uuid();
  const large = 'x'.repeat(9 * 1024 * 1024);
  const ids = [await insert(session, 1, large), await insert(session, 2, large), await insert(session, 3, large)];
  expect(await claimed()).toEqual(ids.slice(0, 2));
  await admin.query("UPDATE event_outbox SET status = 'SENT', sent_at = now() WHERE id <= $1", [ids[1]]);
  expect(await claimed()).toEqual(ids.slice(2));
});

interface Plan {
  readonly 'Node Type': string;
  readonly 'Index Name'?: string;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly Plan[];
}

function nodes(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodes)];
}

async function claimPlan(): Promise<Plan[]> {
  const claim = readFileSync(new URL('../../src/postgres/sql/outbox/claim.sql', import.meta.url), 'utf8');
  const { rows } = await admin.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
    `EXPLAIN (ANALYZE, FORMAT JSON) ${claim.replaceAll('$1', '100').replaceAll('$2', '16777216').replaceAll('$3', "'{}'")}`,
  );
  const root = rows[0]?.['QUERY PLAN'][0].Plan;
  return root === undefined ? [] : nodes(root);
}

async function fill(count: number, status: 'SENT' | 'PENDING', keys: number): Promise<void> {
  await admin.query(
    `INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers, status, sent_at)
     SELECT gen_random_uuid(), 'events', ('00000000-0000-7000-8000-' || lpad((n % $2)::text, 12, '0'))::uuid, n % 8, n, '{}', '{}',
            $3, CASE WHEN $3 = 'SENT' THEN now() END
     FROM generate_series(1, $1) AS n`,
    [count, keys, status],
  );
}

test(
  'whatever the planner believes, a claim reads the pending rows in order and nothing else',
  { timeout: 120_000 },
  async () => {
    await admin.query('ALTER TABLE event_outbox SET (autovacuum_enabled = off)');
    const expectGoodPlan = async () => {
      const plan = await claimPlan();
      expect(plan.map((node) => node['Index Name']).filter((name) => name !== undefined)).toEqual([
        'event_outbox_pending',
        'event_outbox_blocking',
      ]);
      expect(plan.map((node) => node['Node Type'])).not.toContain('Sort');
      expect(plan.reduce((sum, node) => sum + (node['Rows Removed by Filter'] ?? 0), 0)).toBe(0);
    };
    await fill(100_000, 'PENDING', 5_000);
    await admin.query('ANALYZE event_outbox');
    await expectGoodPlan();
    // The statistics still say that all is PENDING.
    await admin.query("UPDATE event_outbox SET status = 'SENT', sent_at = now() WHERE id <= 99000");
    await expectGoodPlan();
    await admin.query('VACUUM ANALYZE event_outbox');
    await expectGoodPlan();
    // And now that hardly anything is.
    await fill(50_000, 'PENDING', 5_000);
    await expectGoodPlan();
  },
);

test('rows behind a FAILED one cost the claim one look each', { timeout: 60_000 }, async () => {
  await fill(20_000, 'PENDING', 1);
  await admin.query("UPDATE event_outbox SET status = 'FAILED', last_error = 'x' WHERE id = 1");
  const free = await insert(uuid(), 1);
  await admin.query('ANALYZE event_outbox');
  expect(await claimed()).toEqual([free]);
  const plan = await claimPlan();
  expect(plan.reduce((sum, node) => sum + (node['Rows Removed by Filter'] ?? 0), 0)).toBe(19_999);
});
