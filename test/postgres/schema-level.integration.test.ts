import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BatchWork } from '../../src/commands/batch-work.ts';
import type { GroupCommit } from '../../src/commands/group-commit.ts';
import type { Command } from '../../src/genesis/commands.ts';
import { EVENT_SCHEMA_LEVEL } from '../../src/genesis/event-schemas.ts';
import type { SessionId } from '../../src/genesis/ids.ts';
import { createCommandStore } from '../../src/postgres/command-store.ts';
import { createPool } from '../../src/postgres/pool.ts';
import { createRead } from '../../src/postgres/read.ts';
import { readSession } from '../../src/postgres/session-reader.ts';
import { accepted, createSession, groupCommit, request, SETTINGS, silent } from '../support/commands.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const feedback: Command = { type: 'SubmitFeedback', payload: { feedback: 'darker' } };

describe('the level of a session', () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  let commands: GroupCommit;

  beforeAll(async () => {
    database = await createTestDatabase();
    pool = createPool({ url: database.url, poolSize: 6 }, 'test', silent);
    commands = groupCommit(createCommandStore(pool));
    await commands.start();
  });
  afterAll(async () => {
    await commands.stop();
    await pool.end();
    await database.drop();
  });

  async function newSession(): Promise<SessionId> {
    return accepted(await commands.execute(request(createSession()))).answer.sessionId;
  }

  async function levelOf(sessionId: SessionId): Promise<number | undefined> {
    const text = 'SELECT schema_level FROM genesis_sessions WHERE session_id = $1';
    return (await pool.query<{ schema_level: number }>(text, [sessionId])).rows[0]?.schema_level;
  }

  async function setLevel(sessionId: SessionId, level: number): Promise<void> {
    await pool.query('UPDATE genesis_sessions SET schema_level = $2 WHERE session_id = $1', [sessionId, level]);
  }

  it('is that of its newest event', async () => {
    const sessionId = await newSession();
    expect(await levelOf(sessionId)).toBe(1);
    await commands.execute(request(feedback, { sessionId }));
    expect(await levelOf(sessionId)).toBe(1);
  });

  it('above ours refuses commands as UNAVAILABLE, writes nothing and stays', async () => {
    const sessionId = await newSession();
    await setLevel(sessionId, EVENT_SCHEMA_LEVEL + 1);
    await expect(commands.execute(request(feedback, { sessionId }))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    const { rows } = await pool.query(
      `SELECT (SELECT count(*)::int FROM domain_events WHERE aggregate_id = $1) AS events,
              (SELECT count(*)::int FROM command_inbox WHERE session_id = $1) AS commands`,
      [sessionId],
    );
    expect(rows).toEqual([{ events: 1, commands: 1 }]);
    expect(await levelOf(sessionId)).toBe(EVENT_SCHEMA_LEVEL + 1);
  });

  it('above ours does not keep a session from being read, nor others from their commands', async () => {
    const [newer, other] = [await newSession(), await newSession()];
    await setLevel(newer, EVENT_SCHEMA_LEVEL + 1);
    const [refused, taken] = await Promise.allSettled([
      commands.execute(request(feedback, { sessionId: newer })),
      commands.execute(request(feedback, { sessionId: other })),
    ]);
    expect(refused.status).toBe('rejected');
    expect(taken.status).toBe('fulfilled');
    expect(await readSession(createRead(pool, 5_000), newer)).toMatchObject({ sessionId: newer, version: 1 });
  });

  it('of ours or below takes commands', async () => {
    const sessionId = await newSession();
    await setLevel(sessionId, EVENT_SCHEMA_LEVEL);
    accepted(await commands.execute(request(feedback, { sessionId })));
    expect(await levelOf(sessionId)).toBe(EVENT_SCHEMA_LEVEL);
  });

  it('never falls, whatever a later event needs', async () => {
    const sessionId = await newSession();
    await setLevel(sessionId, EVENT_SCHEMA_LEVEL + 1);
    await createCommandStore(pool).transaction(async (transaction) => {
      const locked = await transaction.lock([sessionId], []);
      const work = new BatchWork({ ...locked, tooNew: [] }, { unfinished: [], bound: [] }, SETTINGS);
      expect(work.judge(request(feedback, { sessionId }))).toMatchObject({ kind: 'accepted' });
      await transaction.write(work.rows());
    }, 5_000);
    expect(await levelOf(sessionId)).toBe(EVENT_SCHEMA_LEVEL + 1);
  });
});
