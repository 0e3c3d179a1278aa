import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { GroupCommit } from '../../src/commands/group-commit.ts';
import type { Command } from '../../src/genesis/commands.ts';
import type { SessionId } from '../../src/genesis/ids.ts';
import { createCommandStore } from '../../src/postgres/command-store.ts';
import { createPool } from '../../src/postgres/pool.ts';
import { submitFeedback } from '../genesis/given.ts';
import { accepted, createSession, groupCommit, request, silent } from '../support/commands.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

describe('while the topic is ahead of the database', () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  let commands: GroupCommit;
  let sessionId: SessionId;

  beforeAll(async () => {
    database = await createTestDatabase();
    pool = createPool({ url: database.url, poolSize: 4 }, 'test', silent);
    commands = groupCommit(createCommandStore(pool));
    await commands.start();
    sessionId = accepted(await commands.execute(request(createSession()))).answer.sessionId;
  });
  afterAll(async () => {
    await commands.stop();
    await pool.end();
    await database.drop();
  });
  beforeEach(() => setAhead(true));

  const setAhead = (ahead: boolean) => pool.query('UPDATE genesis_settings SET topic_ahead = $1', [ahead]);
  const send = (command: Command) =>
    commands.execute(request(command, command.type === 'CreateSession' ? {} : { sessionId }));

  async function rows(): Promise<number> {
    const text = `SELECT ((SELECT count(*) FROM command_inbox) + (SELECT count(*) FROM domain_events) + (SELECT count(*) FROM event_outbox)
      + (SELECT count(*) FROM genesis_sessions))::int AS n`;
    return (await pool.query<{ n: number }>(text)).rows[0]?.n ?? -1;
  }

  it.each([
    ['that creates a session', createSession()],
    ['for a session', submitFeedback()],
  ])('a command %s is refused as UNAVAILABLE, says why, and leaves no row', async (_what, command) => {
    const before = await rows();
    await expect(send(command)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(
        /^The database is older than the topic of events.*genesis recover.*Nothing was written/u,
      ),
      details: { retry_after: 30 },
    });
    expect(await rows()).toBe(before);
  });

  it('a command for a session that does not exist here is refused, too: it may be among what is missing', async () => {
    await expect(commands.execute(request(submitFeedback()))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('and taken again as soon as it no longer is', async () => {
    await setAhead(false);
    expect(accepted(await send(submitFeedback())).answer.version).toBe(2);
    accepted(await send(createSession()));
  });
});
