import { readFileSync } from 'node:fs';
import pg from 'pg';
import { migrate } from '../../src/postgres/migrate.ts';
import type { Design } from './designs.ts';

export interface Workload {
  readonly rows: number;
  readonly batch: number;
  /** A transaction that was begun before the first claim stays open until the end. */
  readonly beside: boolean;
}

/** What one run has cost. */
export interface Figures {
  readonly eventsPerSecond: number;
  /** Microseconds of processor time of the server's process; NaN where /proc cannot tell. Other work on the machine hardly moves it. */
  readonly cpuPerEvent: number;
  /** Bytes that claims and marks wrote. More, when a checkpoint comes in between: pages are written whole after it. */
  readonly walPerEvent: number;
  /** Share of updates that touched no index; null: there were none. */
  readonly hot: number | null;
  /** Bytes of the table and its indexes at the end, and after VACUUM. */
  readonly table: number;
  readonly indexes: number;
  readonly tableAfter: number;
  readonly indexesAfter: number;
  /** Milliseconds of the first and the last fifth of the claims: median and 99th percentile. */
  readonly early: readonly [number, number];
  readonly late: readonly [number, number];
  readonly markMedian: number;
}

const SESSION = readFileSync(new URL('../../src/postgres/sql/outbox/session.sql', import.meta.url), 'utf8');

/** 200 sessions at a time with five events each, 600 to 900 bytes of payload and 400 of headers, as our events have them. */
const FILL = `
INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers)
SELECT uuidv7(), 'domain-events', ('01900000-0000-7000-8000-' || lpad(to_hex($1::bigint / 5 + n % 200), 12, '0'))::uuid, n % 8, n / 200 + 1,
       left(repeat(md5(n::text || $1::text), 30), 600 + n % 300), json_build_object('ce_id', repeat(md5(n::text), 12))
FROM generate_series(0, 999) AS n`;

export async function drain(server: string, design: Design, workload: Workload): Promise<Figures> {
  const admin = await connect(server);
  const name = `genesis_bench_${process.pid}`;
  await admin.query(`CREATE DATABASE ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  try {
    return await drainIn(url.href, design, workload);
  } finally {
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await admin.end();
  }
}

async function drainIn(url: string, design: Design, { rows, batch, beside }: Workload): Promise<Figures> {
  await migrate(url);
  const [writer, relay, other] = [await connect(url), await connect(url), await connect(url)];
  try {
    await writer.query(`ALTER TABLE event_outbox SET (autovacuum_enabled = off); ${design.ddl}`);
    await writer.query("UPDATE relay_shards SET owner = 1, expires_at = now() + interval '1 hour'");
    for (let n = 0; n < rows; n += 1_000) await writer.query(FILL, [n]);
    if (beside) await other.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM genesis_settings');
    await relay.query(SESSION);
    const cpu = await serverClock(relay);
    const [before, began] = [await walOf(relay), cpu()];
    const { claims, marks } = await work(relay, design, rows, batch);
    const [spent, after] = [cpu() - began, await walOf(relay)];
    const atEnd = await sizes(writer);
    const hot = await hotShare(writer, relay);
    await writer.query('VACUUM event_outbox');
    const vacuumed = await sizes(writer);
    const fifth = Math.max(1, Math.floor(claims.length / 5));
    return {
      eventsPerSecond: rows / ((total(claims) + total(marks)) / 1_000),
      cpuPerEvent: spent / rows,
      walPerEvent: (after - before) / rows,
      hot,
      ...atEnd,
      tableAfter: vacuumed.table,
      indexesAfter: vacuumed.indexes,
      early: percentiles(claims.slice(0, fifth)),
      late: percentiles(claims.slice(-fifth)),
      markMedian: percentiles(marks)[0],
    };
  } finally {
    for (const client of [writer, relay, other]) await client.end();
  }
}

/** Claims and marks until all is done. Milliseconds of each. */
async function work(relay: pg.Client, { claim, mark }: Design, rows: number, batch: number) {
  const [claims, marks]: [number[], number[]] = [[], []];
  let floor = 1;
  for (let done = 0; done < rows;) {
    const began = performance.now();
    const claimed = await relay.query<{ id: number | string }>(claim, [floor, batch]);
    const ids = claimed.rows.map(({ id }) => Number(id));
    const last = ids.at(-1);
    if (last === undefined) throw new Error('nothing was claimed');
    const between = performance.now();
    await relay.query(mark, [ids]);
    marks.push(performance.now() - between);
    claims.push(between - began);
    floor = last + 1;
    done += ids.length;
  }
  return { claims, marks };
}

async function connect(url: string): Promise<pg.Client> {
  // As the relay's connection: to compile a statement takes longer than it runs.
  const client = new pg.Client({ connectionString: url, options: '-c jit=off' });
  await client.connect();
  return client;
}

async function walOf(relay: pg.Client): Promise<number> {
  await relay.query('SELECT pg_stat_force_next_flush()');
  const { rows } = await relay.query<{ bytes: string }>(
    'SELECT wal_bytes::text AS bytes FROM pg_stat_get_backend_wal(pg_backend_pid())',
  );
  return Number(rows[0]?.bytes);
}

async function hotShare(writer: pg.Client, relay: pg.Client): Promise<number | null> {
  await relay.query('SELECT pg_stat_force_next_flush()');
  await relay.query('SELECT 1');
  await writer.query('SELECT pg_stat_clear_snapshot()');
  const { rows } = await writer.query<{ updated: number; hot: number }>(
    "SELECT n_tup_upd::float8 AS updated, n_tup_hot_upd::float8 AS hot FROM pg_stat_user_tables WHERE relname = 'event_outbox'",
  );
  const { updated = 0, hot = 0 } = rows[0] ?? {};
  return updated === 0 ? null : hot / updated;
}

async function sizes(client: pg.Client): Promise<{ table: number; indexes: number }> {
  const { rows } = await client.query<{ table: string; indexes: string }>(
    "SELECT pg_table_size('event_outbox') AS table, pg_indexes_size('event_outbox') AS indexes",
  );
  return { table: Number(rows[0]?.table), indexes: Number(rows[0]?.indexes) };
}

/** Reads the processor time of the server's process, in microseconds, where the server runs on this machine and it is Linux. */
async function serverClock(client: pg.Client): Promise<() => number> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return () => {
    try {
      const [nanoseconds = ''] = readFileSync(`/proc/${rows[0]?.pid}/schedstat`, 'utf8').split(' ');
      return Number(nanoseconds) / 1_000;
    } catch {
      return Number.NaN;
    }
  };
}

const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

function percentiles(values: readonly number[]): [number, number] {
  const sorted = values.toSorted((one, other) => one - other);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return [at(0.5), at(0.99)];
}
