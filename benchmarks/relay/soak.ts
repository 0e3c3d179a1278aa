import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { percentile } from '../../faults/percentile.ts';
import type { DeliveryMode } from '../../src/relay/ports.ts';
import { BacklogWriter } from './backlog.ts';
import { createDatabase, openPlace, type Place, type Stage } from './stage.ts';
import { AHEAD, startTimedRelay } from './timed-relay.ts';

export interface SoakPlan {
  readonly rows: number;
  /** Bytes of payload of each event. */
  readonly payload: number;
  /** A transaction stays open from the beginning to the end. */
  readonly openTransaction: boolean;
  readonly delivery: DeliveryMode;
}

/** One claim: how many rows it gave, how many all claims so far, and how long it took. */
export interface SoakClaim {
  readonly upTo: number;
  readonly rows: number;
  readonly milliseconds: number;
}

const SESSIONS = 10_000;
/** How many of the first and of the last rows are compared. */
const COMPARED = 100_000;

/** Rows through the table, writer and relay at once: is the last claim as quick as the first, and how large is the table? */
export async function measureSoak(stage: Stage, plan: SoakPlan): Promise<void> {
  const place = await openPlace(stage, await createDatabase(stage), plan.delivery);
  const held = plan.openTransaction ? await holdTransaction(place.databaseUrl) : null;
  const file = join(stage.folder, 'claims.json');
  try {
    const seconds = await pass(place, plan, file);
    const claims = JSON.parse(readFileSync(file, 'utf8')) as SoakClaim[];
    const total = claims.at(-1)?.upTo ?? 0;
    const first = summary(claims.filter(({ upTo }) => upTo <= COMPARED));
    const last = summary(claims.filter(({ upTo }) => upTo > total - COMPARED));
    const table = await tableFigures(place.database);
    console.log(
      `soak, ${plan.delivery}, ${plan.rows} rows${plan.openTransaction ? ' beside an open transaction' : ''}: ` +
        `${Math.round(plan.rows / seconds)} events/s; claims p50/p99 ms: first ${COMPARED} rows ${told(first)}, last ${told(last)}; ` +
        `table ${table.tableMiB} MiB, indexes ${table.indexMiB} MiB, ${table.hot} % of marks HOT`,
    );
    stage.report({ measure: 'soak', ...plan, seconds, first, last, ...table });
  } finally {
    await held?.end();
    await place.close();
  }
}

/** Seconds until all rows are published. */
async function pass(place: Place, { rows, payload, delivery }: SoakPlan, file: string): Promise<number> {
  const { databaseUrl, kafka } = place;
  const writer = await BacklogWriter.open({ databaseUrl, topic: kafka.topic, sessions: SESSIONS, payload });
  const relay = startTimedRelay(place, delivery, file);
  try {
    const began = performance.now();
    await relay.pass(writer, rows);
    while (await anyUnmarked(place.database)) await sleep(50);
    return (performance.now() - began) / 1_000;
  } finally {
    await relay.stop();
    await writer.close();
  }
}

/** Among the last rows: all others were marked before these were sent. */
async function anyUnmarked(database: Place['database']): Promise<boolean> {
  const { rows } = await database.query<{ some: boolean }>(
    `SELECT EXISTS (SELECT FROM event_outbox WHERE status = 'PENDING' AND id > (SELECT max(id) FROM event_outbox) - $1) AS some`,
    [2 * AHEAD],
  );
  return rows[0]?.some === true;
}

/** A reader that began before the first row and never ends: vacuum may not remove what it could still see. */
async function holdTransaction(databaseUrl: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on('error', () => undefined);
  await client.connect();
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await client.query('SELECT count(*) FROM event_outbox');
  return client;
}

export function summary(claims: readonly SoakClaim[]): {
  readonly p50: number;
  readonly p99: number;
  readonly claims: number;
} {
  const times = claims.map(({ milliseconds }) => milliseconds).toSorted((a, b) => a - b);
  return { p50: percentile(times, 0.5), p99: percentile(times, 0.99), claims: times.length };
}

export function told({ p50, p99 }: { readonly p50: number; readonly p99: number }): string {
  return `${p50.toFixed(1)}/${p99.toFixed(1)}`;
}

async function tableFigures(database: Place['database']) {
  const { rows } = await database.query<{ table_mib: number; index_mib: number; hot: number }>(
    `SELECT (pg_relation_size('event_outbox') / 1048576)::int AS table_mib, (pg_indexes_size('event_outbox') / 1048576)::int AS index_mib,
            round(100.0 * n_tup_hot_upd / greatest(n_tup_upd, 1), 1)::float AS hot
     FROM pg_stat_user_tables WHERE relname = 'event_outbox'`,
  );
  return { tableMiB: rows[0]?.table_mib ?? 0, indexMiB: rows[0]?.index_mib ?? 0, hot: rows[0]?.hot ?? 0 };
}
