import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BatchWork } from '../../src/commands/batch-work.ts';
import type { SessionId } from '../../src/genesis/ids.ts';
import { createAuditStore } from '../../src/postgres/audit-store.ts';
import { createCommandStore } from '../../src/postgres/command-store.ts';
import { createPool, DEFAULT_LIMITS } from '../../src/postgres/pool.ts';
import { confirmStage, requestConcepts, submitFeedback, updateSession } from '../genesis/given.ts';
import { request, SETTINGS, silent } from '../support/commands.ts';
import { startAuditRig, type AuditRig } from './audit-rig.ts';

const UNKNOWN = '01900000-0000-7000-8000-0000000000aa' as SessionId;
const SPOIL = `UPDATE genesis_sessions SET title = 'spoilt' WHERE session_id = $1`;

describe('genesis rebuild', () => {
  let rig: AuditRig;
  beforeAll(async () => {
    rig = await startAuditRig();
  });
  afterAll(() => rig.stop());

  /** A session whose every column says something. */
  const fullSession = () =>
    rig.session(updateSession({ title: '星海', idea: 'a ship' }), submitFeedback(), requestConcepts());

  /** One wrong value per column, as SQL. */
  const wrong: Readonly<Record<string, string>> = {
    user_id: `'somebody else'`,
    status: `'ABANDONED'`,
    current_stage: `'PLOT_OUTLINE'`,
    title: `title || ' '`,
    idea: 'NULL',
    confirmed_data: `'{"WORLDVIEW":{}}'`,
    version: 'version - 1',
    last_event_id: 'session_id',
    outstanding_request: 'session_id',
    outstanding_event: 'session_id',
    schema_level: 'schema_level + 1',
    created_at: `created_at - interval '1 microsecond'`,
    updated_at: `updated_at + interval '1 microsecond'`,
  };

  it('knows every column', async () => {
    const { rows } = await rig.pool.query<{ name: string }>(
      `SELECT column_name AS name FROM information_schema.columns WHERE table_name = 'genesis_sessions'`,
    );
    expect(rows.map(({ name }) => name).toSorted()).toEqual(['session_id', ...Object.keys(wrong)].toSorted());
  });

  it.each(Object.entries(wrong))('mends a wrong %s, which verify finds', async (column, value) => {
    const sessionId = await fullSession();
    const before = await rig.row(sessionId);
    await rig.tamper(`UPDATE genesis_sessions SET ${column} = ${value} WHERE session_id = $1`, [sessionId]);
    const [finding, ...more] = await rig.findings({ sessionId });
    expect(finding).toMatchObject({ code: 'PROJECTION_DIFFERS', sessionId });
    expect(finding?.detail).toMatch(new RegExp(`^${column} is `));
    expect(more).toEqual([]);
    expect(await rig.rebuild()).toMatchObject({ rebuilt: 1, problems: 0, told: [finding] });
    expect(await rig.findings()).toEqual([]);
    expect(await rig.row(sessionId)).toEqual(before);
  });

  it('makes a row that is missing', async () => {
    const sessionId = await rig.session(confirmStage('CONCEPT_SELECTION', { title: '星海' }));
    const before = await rig.row(sessionId);
    await rig.tamper('DELETE FROM genesis_sessions WHERE session_id = $1', [sessionId]);
    expect(await rig.rebuild({ sessionId })).toMatchObject({ rebuilt: 1, told: [{ code: 'PROJECTION_MISSING' }] });
    expect(await rig.row(sessionId)).toEqual(before);
  });

  it('touches no row that is right', async () => {
    await rig.session();
    const stamps = async () =>
      (await rig.pool.query<object>('SELECT session_id, xmin FROM genesis_sessions ORDER BY 1')).rows;
    const before = await stamps();
    expect(await rig.rebuild()).toMatchObject({ rebuilt: 0, problems: 0, sessions: before.length, told: [] });
    expect(await stamps()).toEqual(before);
  });

  it('tells on a dry run what it would do, and does nothing', async () => {
    const sessionId = await rig.session();
    await rig.tamper(SPOIL, [sessionId]);
    const spoilt = await rig.row(sessionId);
    expect(await rig.rebuild({ dryRun: true })).toMatchObject({
      rebuilt: 1,
      told: [{ code: 'PROJECTION_DIFFERS', sessionId }],
    });
    expect(await rig.row(sessionId)).toEqual(spoilt);
    await rig.rebuild({ sessionId });
  });

  it('tells what it cannot mend, leaves it, and goes on', async () => {
    const [damaged, tooNew, spoilt] = [
      await rig.session(submitFeedback()),
      await rig.session(submitFeedback()),
      await rig.session(),
    ];
    await rig.tamper(SPOIL, [damaged]);
    await rig.tamper('DELETE FROM domain_events WHERE aggregate_id = $1 AND aggregate_version = 1', [damaged]);
    await rig.tamper(SPOIL, [tooNew]);
    await rig.tamper('UPDATE domain_events SET event_version = 99 WHERE aggregate_id = $1 AND aggregate_version = 2', [
      tooNew,
    ]);
    await rig.tamper(SPOIL, [spoilt]);
    const left = [await rig.row(damaged), await rig.row(tooNew)];
    const { told, rebuilt, problems } = await rig.rebuild();
    expect(told.map(({ code }) => code)).toEqual(['HISTORY_DAMAGED', 'EVENT_TOO_NEW', 'PROJECTION_DIFFERS']);
    expect({ rebuilt, problems }).toEqual({ rebuilt: 1, problems: 2 });
    expect([await rig.row(damaged), await rig.row(tooNew)]).toEqual(left);
    for (const id of [damaged, tooNew]) {
      await rig.tamper('DELETE FROM domain_events WHERE aggregate_id = $1', [id]);
      await rig.tamper('DELETE FROM command_inbox WHERE session_id = $1', [id]);
      expect(await rig.rebuild({ sessionId: id })).toMatchObject({
        problems: 1,
        told: [{ code: 'PROJECTION_WITHOUT_EVENTS' }],
      });
      expect(await rig.row(id)).not.toBeUndefined();
      await rig.tamper('DELETE FROM genesis_sessions WHERE session_id = $1', [id]);
      await rig.tamper('DELETE FROM event_outbox WHERE key = $1', [id]);
    }
  });

  it('goes on where an earlier run was ended', async () => {
    const ids = [await rig.session(), await rig.session(), await rig.session()];
    for (const id of ids) await rig.tamper(SPOIL, [id]);
    const ended = new AbortController();
    const [first, second, third] = ids;
    const run = rig.rebuild({ signal: ended.signal, onRebuilt: () => ended.abort(new Error('enough')) });
    await expect(run).rejects.toThrow('enough');
    const { told } = await rig.rebuild({ after: first ?? null });
    expect(told.map(({ sessionId }) => sessionId)).toEqual([second, third]);
    expect(await rig.findings()).toEqual([]);
  });

  it('tells a run that fails how far it came', async () => {
    const last: (SessionId | null)[] = [];
    await rig.rebuild({ onProgress: ({ after }) => last.push(after) });
    const { rows } = await rig.pool.query<{ id: SessionId }>(
      'SELECT session_id AS id FROM genesis_sessions ORDER BY 1 DESC LIMIT 1',
    );
    expect(last.at(-1)).toBe(rows[0]?.id);
  });

  it('has nothing to do for a session that nobody knows', async () => {
    expect(await rig.rebuild({ sessionId: UNKNOWN })).toMatchObject({ rebuilt: 0, problems: 0 });
  });
});

describe('genesis rebuild beside commands', () => {
  let rig: AuditRig;
  beforeAll(async () => {
    rig = await startAuditRig();
  });
  afterAll(() => rig.stop());

  /** Resolves once somebody waits for a lock in this database. */
  async function somebodyWaits(): Promise<void> {
    const text = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    await expect.poll(async () => (await rig.pool.query(text)).rowCount, { timeout: 10_000 }).toBe(1);
  }

  it('waits for the command that is being written, and folds it too', async () => {
    const sessionId = await rig.session();
    await rig.tamper(SPOIL, [sessionId]);
    const [locked, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const command = createCommandStore(rig.pool).transaction(async (transaction) => {
      const work = new BatchWork(await transaction.lock([sessionId], []), { unfinished: [], bound: [] }, SETTINGS);
      work.judge(request(updateSession({ title: 'Right' }), { sessionId }));
      locked.resolve();
      await gate.promise;
      await transaction.write(work.rows());
    }, 20_000);
    await locked.promise;
    const rebuilding = rig.rebuild({ sessionId });
    await somebodyWaits();
    gate.resolve();
    await command;
    expect(await rebuilding).toMatchObject({ rebuilt: 1, problems: 0 });
    expect(await rig.row(sessionId)).toMatchObject({ version: 2, title: 'Right' });
    expect(await rig.findings()).toEqual([]);
  });

  it('never loses what a command wrote', async () => {
    const ids = await Promise.all(Array.from({ length: 4 }, () => rig.session()));
    let writing = true;
    const versions = Promise.all(
      ids.map(async (id) => {
        for (let n = 0; n < 60; n += 1)
          await rig.send(id, n % 3 === 0 ? updateSession({ idea: `${n}` }) : submitFeedback());
        return 61;
      }),
    ).finally(() => {
      writing = false;
    });
    let rebuilt = 0;
    while (writing) {
      for (const id of ids) await rig.tamper(SPOIL, [id]);
      const counts = await rig.rebuild();
      expect(counts.problems).toBe(0);
      rebuilt += counts.rebuilt;
    }
    expect(rebuilt).toBeGreaterThan(0);
    await rig.rebuild();
    expect(await rig.findings()).toEqual([]);
    const rows = await Promise.all(ids.map((id) => rig.row(id)));
    expect(rows.map((row) => (row as { version: number }).version)).toEqual(await versions);
  });

  it('tells of a row that stays locked, and writes nothing', async () => {
    const sessionId = await rig.session();
    await rig.tamper(SPOIL, [sessionId]);
    const pool = createPool({ url: rig.url, poolSize: 1 }, 'impatient', silent, { ...DEFAULT_LIMITS, lockTimeout: 20 });
    const holder = await rig.pool.connect();
    await holder.query('BEGIN');
    await holder.query('SELECT 1 FROM genesis_sessions WHERE session_id = $1 FOR UPDATE', [sessionId]);
    const store = createAuditStore(pool);
    expect(await rig.rebuild({ sessionId, store })).toMatchObject({
      rebuilt: 0,
      problems: 1,
      told: [{ code: 'BUSY', sessionId }],
    });
    await holder.query('ROLLBACK');
    holder.release();
    expect(await rig.rebuild({ sessionId, store })).toMatchObject({ rebuilt: 1, problems: 0 });
    await pool.end();
  });

  it('leaves a row that somebody else made meanwhile, and looks again', async () => {
    const sessionId = await rig.session();
    const made = await rig.row(sessionId);
    await rig.tamper('DELETE FROM genesis_sessions WHERE session_id = $1', [sessionId]);
    const stale = await rig.store.mend(sessionId, async (locked) => {
      const events = (await Array.fromAsync(locked.events())).flat();
      expect(events).toHaveLength(1);
      await rig.rebuild({ sessionId });
      await rig.send(sessionId, submitFeedback());
      const { projection } = await rig.store.inSnapshot(async (snapshot) => ({
        projection: (await snapshot.projections([sessionId])).at(0),
      }));
      return projection === undefined ? null : { ...projection, session: { ...projection.session, version: 1 } };
    });
    expect(stale).toBe('busy');
    expect(await rig.row(sessionId)).toMatchObject({
      version: 2,
      created_at: (made as { created_at: string }).created_at,
    });
    expect(await rig.findings()).toEqual([]);
  });
});
