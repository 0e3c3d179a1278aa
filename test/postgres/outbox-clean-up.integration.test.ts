import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { CleanUp, type CleanUpStep, type SettledRows } from '../../src/outbox/clean-up.ts';
import { createPool } from '../../src/postgres/pool.ts';
import { createRead } from '../../src/postgres/read.ts';
import { createSettledRows } from '../../src/postgres/settled-rows.ts';
import { silent } from '../support/commands.ts';
import { startOutboxRig, type OutboxRig } from './outbox-rig.ts';

const DAY = 86_400_000;
const PATIENCE = { timeout: 10_000, interval: 5 };

let rig: OutboxRig;
let pool: pg.Pool;
let rows: SettledRows;
let running: CleanUp[] = [];

beforeAll(async () => {
  rig = await startOutboxRig();
  pool = createPool({ url: rig.url, poolSize: 4 }, 'test', silent);
  rows = createSettledRows(createRead(pool, 5_000));
});
afterAll(async () => {
  await pool.end();
  await rig.stop();
});
beforeEach(() => rig.reset());
afterEach(async () => {
  await Promise.all(running.map((one) => one.stop()));
  running = [];
});

/** Rows of one session each, settled as long ago as they are old, in days. */
async function fill(count: number, status: 'SENT' | 'PENDING' | 'FAILED' | 'DISCARDED', days: number): Promise<void> {
  await rig.run(
    `INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers, status, last_error, created_at, sent_at)
     SELECT gen_random_uuid(), 't', gen_random_uuid(), n % 8, 1, '{}', '{}', $2, 'x', now() - $3 * interval '1 day',
            CASE WHEN $2 IN ('SENT', 'DISCARDED') THEN now() - $3 * interval '1 day' END
     FROM generate_series(1, $1) AS n`,
    [count, status, days],
  );
}

async function left(): Promise<number> {
  const counted = await rig.value<{ rows: number }>('SELECT count(*)::int AS rows FROM event_outbox');
  return counted?.rows ?? -1;
}

/** Starts a clean-up and keeps what its steps said. */
async function start(
  step = 10,
  on: SettledRows = rows,
): Promise<{ readonly from: number[]; readonly steps: CleanUpStep[] }> {
  const told = { from: new Array<number>(), steps: new Array<CleanUpStep>() };
  const watched: SettledRows = {
    async removeSettled(from, ...rest) {
      told.from.push(from);
      const done = await on.removeSettled(from, ...rest);
      told.steps.push(done);
      return done;
    },
  };
  const cleanUp = new CleanUp(watched, { retention: 7 * DAY, interval: 10, step }, silent);
  running.push(cleanUp);
  await cleanUp.start();
  return told;
}

describe('the clean-up', () => {
  it('removes what was SENT longer ago than the retention, in steps, and nothing else', async () => {
    await fill(25, 'SENT', 9);
    await fill(5, 'DISCARDED', 8);
    await fill(20, 'SENT', 6);
    const { steps } = await start();
    // What was discarded is not to be forgotten: a later republication must not publish it.
    await vi.waitFor(async () => expect(await left()).toBe(25), PATIENCE);
    expect(Math.max(...steps.map(({ removed }) => removed))).toBe(10);
    expect(steps.reduce((sum, { removed }) => sum + removed, 0)).toBe(25);
  });

  it('passes what stays, whatever its age', async () => {
    await fill(12, 'PENDING', 30);
    await fill(3, 'FAILED', 20);
    await fill(5, 'SENT', 10);
    await rig.run("UPDATE event_outbox SET status = 'DISCARDED' WHERE id <= 2");
    await rig.run("UPDATE event_outbox SET status = 'SENT', sent_at = now() WHERE id = 4");
    await start();
    await vi.waitFor(async () => expect(await left()).toBe(15), PATIENCE);
  });

  it('begins the next pass where the last had nothing left to do', async () => {
    await fill(25, 'SENT', 9);
    await fill(10, 'SENT', 1);
    const { from, steps } = await start();
    await vi.waitFor(() => expect(from.length).toBeGreaterThan(6), PATIENCE);
    expect(from.slice(0, 3)).toEqual([0, 11, 21]);
    expect(new Set(from.slice(3))).toEqual(new Set([21]));
    expect(steps.slice(3).every(({ removed }) => removed === 0)).toBe(true);
  });

  it('comes back to what stayed', async () => {
    await fill(1, 'FAILED', 9);
    await fill(12, 'SENT', 9);
    await start();
    await vi.waitFor(async () => expect(await left()).toBe(1), PATIENCE);
    await rig.run("UPDATE event_outbox SET status = 'PENDING'");
    await rig.run("UPDATE event_outbox SET status = 'SENT', sent_at = now() - interval '8 days'");
    await vi.waitFor(async () => expect(await left()).toBe(0), PATIENCE);
  });

  it('leaves the work to whoever is at it', async () => {
    await fill(5, 'SENT', 9);
    const other = await rig.connect();
    await other.query('BEGIN; SELECT pg_advisory_xact_lock(1195724355, 0)');
    const { steps } = await start();
    await vi.waitFor(() => expect(steps.length).toBeGreaterThan(2), PATIENCE);
    expect(steps[0]).toEqual({ removed: 0, stayed: null, next: null });
    expect(await left()).toBe(5);
    await other.end();
    await vi.waitFor(async () => expect(await left()).toBe(0), PATIENCE);
  });

  it('tries again when the database is away', async () => {
    await fill(5, 'SENT', 9);
    let away = 3;
    await start(10, {
      removeSettled: (...step) => (away-- > 0 ? Promise.reject(new Error('away')) : rows.removeSettled(...step)),
    });
    await vi.waitFor(async () => expect(await left()).toBe(0), PATIENCE);
  });

  it('stops with the step under way', async () => {
    await fill(40, 'SENT', 9);
    const { steps } = await start(1);
    await vi.waitFor(() => expect(steps.length).toBeGreaterThan(0), PATIENCE);
    await Promise.all(running.map((one) => one.stop()));
    const [done, rest] = [steps.length, await left()];
    expect(rest).toBe(40 - done);
    expect(rest).toBeGreaterThan(0);
  });
});
