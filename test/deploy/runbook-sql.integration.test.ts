import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const ROOT = join(import.meta.dirname, '../..');

/** The statements of each runbook. */
const STATEMENTS = globSync('docs/operations/alerts/Genesis*.md', { cwd: ROOT }).flatMap((path) =>
  [...readFileSync(join(ROOT, path), 'utf8').matchAll(/```sql\n(.*?)```/gsu)].map(([, text = '']) => ({
    name: basename(path, '.md'),
    text,
  })),
);
const BLOCKERS = STATEMENTS.filter(({ text }) => text.includes('unnest(pg_blocking_pids(pid))'));

describe('what runbooks ask the database', () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  let first: pg.PoolClient;
  let pids: readonly number[];
  beforeAll(async () => {
    database = await createTestDatabase();
    pool = new pg.Pool({ connectionString: database.url, max: 4 });
    first = await pool.connect();
    const [second, third] = [await pool.connect(), await pool.connect()];
    pids = await Promise.all([first, second, third].map(pidOf));
    await first.query('BEGIN');
    await first.query('SELECT FROM relay_shards WHERE shard = 3 FOR UPDATE');
    // The second waits for the first, and the third for the second.
    const waiting = [second, third].map(async (client) => {
      await client.query('UPDATE relay_shards SET paused = paused WHERE shard = 3');
      client.release();
    });
    void Promise.all(waiting);
    await vi.waitFor(async () => {
      const { rows } = await pool.query<{ n: number }>(
        'SELECT count(*)::integer AS n FROM pg_stat_activity WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0',
      );
      expect(rows).toEqual([{ n: 2 }]);
    });
  });
  afterAll(async () => {
    await first.query('ROLLBACK');
    first.release();
    await pool.end();
    await database.drop();
  });

  it.each(STATEMENTS)('$name: the database understands it', async ({ text }) => {
    await pool.query(text);
    expect(BLOCKERS.map(({ name }) => name)).toEqual(['GenesisCommandsFailing', 'GenesisShardStuck']);
  });

  it.each(BLOCKERS)('$name: only who blocks and waits for nobody is to be ended', async ({ text }) => {
    const { rows } = await pool.query<{ pid: number; state: string; waits_for: readonly number[] }>(text);
    const ours = rows.filter(({ pid }) => pids.includes(pid));
    const ends = ours.filter(({ waits_for: others }) => others.length === 0);
    expect(ends).toMatchObject([{ pid: pids[0], state: 'idle in transaction' }]);
  });

  it('GenesisShardWithoutOwner: shows who has locked relay_shards, and in what state', async () => {
    const statement = STATEMENTS.find(({ name }) => name === 'GenesisShardWithoutOwner');
    const { rows } = await pool.query<{ pid: number; state: string }>(statement?.text ?? '');
    expect(rows).toContainEqual(expect.objectContaining({ pid: pids[0], state: 'idle in transaction' }));
  });
});

async function pidOf(client: pg.PoolClient): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return rows[0]?.pid ?? 0;
}
