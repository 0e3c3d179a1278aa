import type pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BatchWork } from '../../src/commands/batch-work.ts';
import type { FinishedCommand, SessionChange, WriteSet } from '../../src/commands/ports.ts';
import type { GroupCommit } from '../../src/commands/group-commit.ts';
import type { CommandId, SessionId } from '../../src/genesis/ids.ts';
import { createCommandStore } from '../../src/postgres/command-store.ts';
import { BY_INDEX, createPool, DEFAULT_LIMITS } from '../../src/postgres/pool.ts';
import { runTransaction } from '../../src/postgres/transaction.ts';
import {
  accepted,
  createSession,
  groupCommit,
  request,
  requestConcepts,
  SETTINGS,
  silent,
} from '../support/commands.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startPostgresProxy, type PostgresProxy } from '../support/postgres-proxy.ts';

const TABLES = ['command_inbox', 'domain_events', 'event_outbox', 'genesis_sessions'] as const;

const earlier = (change: SessionChange): SessionChange => ({ ...change, baseVersion: change.baseVersion - 1 });
const somebodyElse = (command: FinishedCommand): FinishedCommand => ({ ...command, commandId: uuidv7() as CommandId });

describe('the transaction of a command', () => {
  let database: TestDatabase;
  let proxy: PostgresProxy;
  let direct: pg.Pool;
  let pool: pg.Pool;
  let commands: GroupCommit;

  beforeAll(async () => {
    database = await createTestDatabase();
    proxy = await startPostgresProxy(database.url);
    direct = createPool({ url: database.url, poolSize: 4 }, 'test', silent);
    pool = createPool({ url: proxy.url, poolSize: 10 }, 'by-proxy', silent);
    commands = groupCommit(createCommandStore(pool), { transactionTimeout: 2_000, queueTimeout: 1_500 });
    await commands.start();
  });
  afterAll(async () => {
    await commands.stop();
    await Promise.all([pool.end(), direct.end()]);
    await proxy.stop();
    await database.drop();
  });
  beforeEach(() => proxy.refuse(false));

  async function rowCounts(): Promise<Record<string, number>> {
    const counts = await Promise.all(
      TABLES.map(async (table) => {
        const { rows } = await direct.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`);
        return [table, rows[0]?.n ?? -1] as const;
      }),
    );
    return Object.fromEntries(counts);
  }

  async function newSession(): Promise<SessionId> {
    return accepted(await commands.execute(request(createSession()))).answer.sessionId;
  }

  it('writes matching rows into all four tables', async () => {
    const sessionId = await newSession();
    const outcome = accepted(await commands.execute(request(requestConcepts, { sessionId })));
    const { rows } = await direct.query(
      `SELECT c.command_type, c.status, e.event_type, e.aggregate_version, e.correlation_id = c.id AS correlated,
              o.key = e.aggregate_id AS same_key, o.sequence, o.status AS outbox, s.version, s.outstanding_request = c.id AS outstanding
       FROM command_inbox c
       JOIN domain_events e ON e.aggregate_id = c.session_id AND e.aggregate_version BETWEEN c.first_version AND c.last_version
       JOIN event_outbox o USING (event_id)
       JOIN genesis_sessions s USING (session_id)
       WHERE c.id = $1`,
      [outcome.answer.commandId],
    );
    expect(rows).toEqual([
      {
        command_type: 'RequestConceptGeneration',
        status: 'PROCESSING',
        event_type: 'Genesis.Session.Requested',
        aggregate_version: 2,
        correlated: true,
        same_key: true,
        sequence: 2,
        outbox: 'PENDING',
        version: 2,
        outstanding: true,
      },
    ]);
  });

  it('has no statement planned anew', async () => {
    const one = createPool({ url: database.url, poolSize: 1 }, 'one', silent, DEFAULT_LIMITS, BY_INDEX);
    const alone = groupCommit(createCommandStore(one));
    await alone.start();
    const sessionId = await newSession();
    for (let n = 0; n < 12; n += 1) {
      accepted(
        await alone.execute(request({ type: 'SubmitFeedback', payload: { feedback: 'more sea' } }, { sessionId })),
      );
    }
    await alone.stop();
    const { rows } = await one.query(
      'SELECT name, generic_plans::int AS kept FROM pg_prepared_statements WHERE custom_plans > 0 OR generic_plans < 12',
    );
    await one.end();
    expect(rows).toEqual([]);
  });

  it('stores the record’s value as the very bytes that payload and metadata were encoded to', async () => {
    const sessionId = await newSession();
    const data = { 'b\u2028': 1, a: { '10': 'é', '9': '"\\' } };
    await commands.execute(
      request({ type: 'ConfirmStage', payload: { stage: 'CONCEPT_SELECTION', data } }, { sessionId }),
    );
    const { rows } = await direct.query<{ payload: string; event: string }>(
      'SELECT o.payload, e.payload::text AS event FROM event_outbox o JOIN domain_events e USING (event_id) WHERE key = $1 AND sequence = 2',
      [sessionId],
    );
    expect(rows[0]?.payload).toContain(`"payload":${rows[0]?.event},"metadata":`);
    expect(JSON.parse(rows[0]?.event ?? '')).toMatchObject({ data });
  });

  it.each(TABLES)(
    'leaves nothing in any table if the insert into %s fails, and the next command works',
    async (table) => {
      const before = await rowCounts();
      await direct.query(`
      CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
      CREATE TRIGGER fail BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION fail();`);
      await expect(commands.execute(request(createSession()))).rejects.toThrow('no');
      await direct.query(`DROP TRIGGER fail ON ${table}; DROP FUNCTION fail;`);
      expect(await rowCounts()).toEqual(before);
      await newSession();
    },
  );

  it('writes nothing if a row that it has locked is not as it was read', async () => {
    const stale: readonly [string, (rows: WriteSet) => WriteSet][] = [
      ['a session', ({ sessions, ...rest }) => ({ ...rest, sessions: sessions.map(earlier) })],
      ['a command', ({ finished, ...rest }) => ({ ...rest, finished: finished.map(somebodyElse) })],
    ];
    const sessionId = await newSession();
    const { answer } = accepted(await commands.execute(request(requestConcepts, { sessionId })));
    const { commandId } = answer;
    const unfinished = [{ commandId, sessionId, commandType: 'RequestConceptGeneration' as const }];
    const abandon = (change: (rows: WriteSet) => WriteSet) =>
      createCommandStore(pool).transaction(async (transaction) => {
        const work = new BatchWork(await transaction.lock([sessionId], []), { unfinished, bound: [] }, SETTINGS);
        work.judge(request({ type: 'AbandonSession', payload: {} }, { sessionId }));
        await transaction.write(change(work.rows()));
      }, 5_000);
    const before = await rowCounts();
    for (const [what, change] of stale) {
      await expect(abandon(change)).rejects.toThrow(`${what} that the batch has locked was not as it was read`);
      expect(await rowCounts()).toEqual(before);
    }
    await abandon((rows) => rows);
    expect(await rowCounts()).toMatchObject({ command_inbox: (before['command_inbox'] ?? 0) + 1 });
  });

  it('gives one of fifty equal commands at once its 202 and refuses the others with its id', async () => {
    const sessionId = await newSession();
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, () => commands.execute(request(requestConcepts, { sessionId }))),
    );
    const [winner, ...others] = outcomes.filter((outcome) => outcome.kind === 'accepted');
    expect(others).toEqual([]);
    const refusals = outcomes.flatMap((outcome) => (outcome.kind === 'refused' ? [outcome.refusal] : []));
    expect(refusals).toHaveLength(49);
    for (const refusal of refusals) {
      expect(refusal).toEqual({ code: 'DUPLICATE_COMMAND', duplicateCommandId: winner?.answer.commandId });
    }
  });

  it('takes other sessions’ commands while one session is locked elsewhere, and its own once it is free', async () => {
    const [locked, free] = [await newSession(), await newSession()];
    const holder = await direct.connect();
    await holder.query('BEGIN');
    await holder.query('SELECT 1 FROM genesis_sessions WHERE session_id = $1 FOR UPDATE', [locked]);
    const waiting = commands.execute(request(requestConcepts, { sessionId: locked }));
    expect((await commands.execute(request(requestConcepts, { sessionId: free }))).kind).toBe('accepted');
    await holder.query('COMMIT');
    holder.release();
    expect((await waiting).kind).toBe('accepted');
  });

  it('refuses a command whose session stays locked as OVERLOADED when its time is over', async () => {
    const locked = await newSession();
    const before = await rowCounts();
    const holder = await direct.connect();
    await holder.query('BEGIN');
    await holder.query('SELECT 1 FROM genesis_sessions WHERE session_id = $1 FOR UPDATE', [locked]);
    await expect(commands.execute(request(requestConcepts, { sessionId: locked }))).rejects.toMatchObject({
      code: 'OVERLOADED',
    });
    await holder.query('COMMIT');
    holder.release();
    expect(await rowCounts()).toEqual(before);
  });

  it('learns that a transaction was committed although COMMIT’s answer was lost', async () => {
    proxy.failNextCommit('lose-answer');
    const sessionId = await newSession();
    expect((await direct.query('SELECT 1 FROM genesis_sessions WHERE session_id = $1', [sessionId])).rowCount).toBe(1);
  });

  it('learns the outcome if a pooler tells an error in place of the answer', async () => {
    proxy.failNextCommit('pooler-error');
    const sessionId = await newSession();
    expect((await direct.query('SELECT 1 FROM genesis_sessions WHERE session_id = $1', [sessionId])).rowCount).toBe(1);
  });

  it('leaves no connection in a transaction to whoever comes next', async () => {
    const one = createPool({ url: database.url, poolSize: 1 }, 'test', silent);
    const alone = groupCommit(createCommandStore(one));
    await alone.start();
    await alone.execute(request(createSession()));
    // The statement is gone, and COMMIT fails behind rows that were written.
    await one.query('DEALLOCATE "COMMIT"');
    await expect(alone.execute(request(createSession()))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect((await one.query<{ one: number }>('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await alone.stop();
    await one.end();
  });

  it('learns that nothing was written if COMMIT itself was lost', async () => {
    const before = await rowCounts();
    proxy.failNextCommit('lose-commit');
    await expect(newSession()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await rowCounts()).toEqual(before);
  });

  it('learns the outcome in time if COMMIT’s answer never comes and the link stays open', async () => {
    proxy.failNextCommit('black-hole');
    const began = performance.now();
    const sessionId = await newSession();
    expect(performance.now() - began).toBeLessThan(2_000);
    expect((await direct.query('SELECT 1 FROM genesis_sessions WHERE session_id = $1', [sessionId])).rowCount).toBe(1);
  });

  it('learns the outcome on a connection of its own when all links of the pool are dead', async () => {
    const spare = await Promise.all(Array.from({ length: 5 }, () => pool.connect()));
    for (const client of spare) client.release();
    const creating = commands.execute(request(createSession()));
    proxy.failNextCommit('black-hole');
    await expect.poll(() => proxy.isArmed()).toBe(false);
    proxy.silenceLinks();
    const { sessionId } = accepted(await creating).answer;
    expect((await direct.query('SELECT 1 FROM genesis_sessions WHERE session_id = $1', [sessionId])).rowCount).toBe(1);
    await endLinks();
  });

  it('takes a transaction for lost whose id belongs to another one that was committed', async () => {
    // As after a crash of the server, which hands out again the ids that it had not yet flushed.
    const { rows } = await direct.query<{ xid: string }>(
      `INSERT INTO genesis_migrations VALUES ('a stranger', '') RETURNING pg_current_xact_id()::text AS xid`,
    );
    const xid = rows[0]?.xid ?? '';
    const witness = { text: 'SELECT FROM command_inbox WHERE id = $1', values: [uuidv7()] };
    proxy.failNextCommit('lose-commit');
    const work = () => Promise.resolve({ result: 'done', written: { xid, witness } });
    await expect(runTransaction(pool, work, 2_000)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('lets nobody wait for a CreateSession whose key is in use elsewhere', async () => {
    const keyed = request(createSession(), { idempotencyKey: { key: 'k', fingerprint: 'f' } });
    const one = groupCommit(createCommandStore(pool), { transactionsMax: 1 });
    await one.start();
    const waiting = await createCommandStore(direct).transaction(async (transaction) => {
      await transaction.lock([], [{ userId: keyed.actor.userId, key: 'k' }]);
      const began = performance.now();
      const execution = one.execute(keyed);
      await Promise.all(Array.from({ length: 20 }, () => one.execute(request(createSession()))));
      // Somebody who waited for the lock would wait for the lock time-out: a second.
      expect(performance.now() - began).toBeLessThan(900);
      return [execution];
    }, 10_000);
    await Promise.all(waiting);
    await one.stop();
    const again = accepted(await commands.execute({ ...keyed, commandId: uuidv7() as CommandId }));
    expect(again).toMatchObject({ replayed: true, answer: { commandId: keyed.commandId } });
  });

  it('says OUTCOME_UNKNOWN with the command’s id when the database stays away after a lost COMMIT', async () => {
    const lost = request(createSession());
    proxy.failNextCommit('lose-answer');
    proxy.refuse(true);
    await expect(commands.execute(lost)).rejects.toMatchObject({
      code: 'OUTCOME_UNKNOWN',
      details: { command_id: lost.commandId, session_id: lost.sessionId },
    });
  });

  it('says UNAVAILABLE, and writes nothing, while the database cannot be reached', async () => {
    const before = await rowCounts();
    proxy.refuse(true);
    await endLinks();
    await expect(newSession()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    proxy.refuse(false);
    expect(await rowCounts()).toEqual(before);
    await newSession();
  });

  /** The server ends all sessions that came by the proxy; resolves when the pool has noticed. */
  async function endLinks(): Promise<void> {
    await direct.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'by-proxy'`,
    );
    await expect.poll(() => pool.totalCount).toBe(0);
  }
});
