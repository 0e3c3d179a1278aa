import fc from 'fast-check';
import type pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GroupCommit } from '../../src/commands/group-commit.ts';
import type { CommandRecord, Queries } from '../../src/events/ports.ts';
import { publicationOf } from '../../src/events/publication.ts';
import type { Command } from '../../src/genesis/commands.ts';
import type { CommandId, SessionId, UserId } from '../../src/genesis/ids.ts';
import { createCommandStore } from '../../src/postgres/command-store.ts';
import { createNewEventsReader } from '../../src/postgres/new-events-reader.ts';
import { createPool } from '../../src/postgres/pool.ts';
import { createQueries } from '../../src/postgres/queries.ts';
import { createRead, type Read } from '../../src/postgres/read.ts';
import { accepted, createSession, groupCommit, request, requestConcepts, silent } from '../support/commands.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let pool: pg.Pool;
let commands: GroupCommit;
let statements: string[];
let read: Read;
let queries: Queries;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = createPool({ url: database.url, poolSize: 4 }, 'genesis-test', silent);
  statements = [];
  const plain = createRead(pool, 5_000);
  read = (statement, values) => {
    statements.push(statement.name);
    return plain(statement, values);
  };
  queries = createQueries(read);
  commands = groupCommit(createCommandStore(pool));
  await commands.start();
});
afterAll(async () => {
  await commands.stop();
  await pool.end();
  await database.drop();
});

const as = (userId: string, role: 'author' | 'agent' = 'author') => ({ actor: { userId: userId as UserId, role } });

async function send(sessionId: SessionId, command: Command, role: 'author' | 'agent' = 'author'): Promise<CommandId> {
  return accepted(await commands.execute(request(command, { sessionId, ...as('ada', role) }))).answer.commandId;
}

async function create(userId = 'ada'): Promise<SessionId> {
  return accepted(await commands.execute(request(createSession(), as(userId)))).answer.sessionId;
}

const feedback: Command = { type: 'SubmitFeedback', payload: { feedback: 'Darker' } };
const confirm: Command = { type: 'ConfirmStage', payload: { stage: 'CONCEPT_SELECTION' } };
const abandon: Command = { type: 'AbandonSession', payload: {} };

async function readCommand(sessionId: SessionId, commandId: CommandId): Promise<CommandRecord> {
  const command = await queries.readCommand(sessionId, commandId);
  if (command === null) throw new Error('there is no such command');
  return command;
}

const publications = (command: CommandRecord) => command.events.map(({ outbox }) => publicationOf(outbox));
const setOutbox = (changes: string, sessionId: SessionId, version: number) =>
  pool.query(`UPDATE event_outbox SET ${changes} WHERE key = $1 AND sequence = $2`, [sessionId, version]);

describe('lists of sessions', () => {
  test('hold a user’s own, or everybody’s, newest first', async () => {
    const [first, others, last] = [await create('bea'), await create('cal'), await create('bea')];
    const all = { status: null, currentStage: null, before: null, limit: 100 };
    const own = await queries.listSessions({ ...all, userId: 'bea' as UserId });
    expect(own.map(({ sessionId }) => sessionId)).toEqual([last, first]);
    const everybodys = await queries.listSessions({ ...all, userId: null });
    expect(everybodys.map(({ sessionId }) => sessionId).slice(0, 3)).toEqual([last, others, first]);
  });

  test('hold what the filters let through', async () => {
    const [open, left, further] = [await create('dan'), await create('dan'), await create('dan')];
    await commands.execute(request(abandon, { sessionId: left, ...as('dan') }));
    await commands.execute(request(confirm, { sessionId: further, ...as('dan') }));
    const list = async (filter: object, userId: string | null) => {
      const query = { userId: userId as UserId | null, status: null, currentStage: null, before: null, limit: 3 };
      return (await queries.listSessions({ ...query, ...filter })).map(({ sessionId }) => sessionId);
    };
    for (const userId of ['dan', null]) {
      expect(await list({ status: 'ABANDONED' }, userId)).toEqual([left]);
      expect(await list({ currentStage: 'STORY_CONCEPTION' }, userId)).toEqual([further]);
      expect(await list({ status: 'ABANDONED', currentStage: 'STORY_CONCEPTION' }, userId)).toEqual([]);
      expect(await list({ status: 'IN_PROGRESS', currentStage: 'CONCEPT_SELECTION' }, userId)).toContain(open);
    }
  });
});

describe('a command', () => {
  test('is told with all of its events, and none of others', async () => {
    const session = await create();
    const asked = await send(session, requestConcepts);
    const confirmed = await send(session, confirm);
    await send(session, feedback);
    expect((await readCommand(session, asked)).events).toMatchObject([
      { eventType: 'Genesis.Session.Requested', aggregateVersion: 2 },
    ]);
    const { events, ...command } = await readCommand(session, confirmed);
    expect(events).toMatchObject([
      { eventType: 'Genesis.Session.Failed', aggregateVersion: 3 },
      { eventType: 'Genesis.Session.Confirmed', aggregateVersion: 4 },
    ]);
    expect(command).toMatchObject({ commandId: confirmed, commandType: 'ConfirmStage', status: 'COMPLETED' });
  });

  test('that is answered later: PROCESSING, then what became of it, and when', async () => {
    const session = await create();
    const asked = await send(session, requestConcepts);
    expect(await readCommand(session, asked)).toMatchObject({ status: 'PROCESSING', errorMessage: null });
    await send(session, { type: 'FailConceptGeneration', payload: { request_id: asked, reason: 'no idea' } }, 'agent');
    const ended = await readCommand(session, asked);
    expect(ended).toMatchObject({ status: 'FAILED', errorMessage: 'no idea' });
    expect(ended.updatedAt).toBeGreaterThanOrEqual(ended.createdAt);
  });

  test('is no other session’s', async () => {
    const [mine, others] = [await create(), await create()];
    expect(await queries.readCommand(others, await send(mine, feedback))).toBeNull();
    expect(await queries.readCommand(mine, uuidv7() as CommandId)).toBeNull();
  });
});

describe('where events are on their way out', () => {
  test('sent, failed, held behind the first that failed, and pending in other sessions', async () => {
    const session = await create();
    const sent: CommandId[] = [];
    for (let n = 0; n < 4; n += 1) sent.push(await send(session, feedback));
    await setOutbox(`status = 'SENT', sent_at = now(), partition = 5, "offset" = 4294967296123`, session, 1);
    await setOutbox(`status = 'SENT', sent_at = now(), partition = 5, "offset" = 4294967296124`, session, 2);
    await setOutbox(`status = 'FAILED', retry_count = 3, last_error = 'too large'`, session, 3);
    await setOutbox(`retry_count = 1, last_error = 'odd', scheduled_at = now() + interval '1 hour'`, session, 4);
    const [first, failed, retrying, last] = await Promise.all(sent.map((id) => readCommand(session, id)));
    const eventId = failed?.events[0]?.eventId;
    expect([first, failed, retrying, last].flatMap((command) => (command ? publications(command) : []))).toMatchObject([
      { status: 'sent', topic: 'domain-events', partition: 5, offset: 4_294_967_296_124, attempts: 1 },
      { status: 'failed', attempts: 4, lastError: 'too large', heldBy: null },
      { status: 'held', attempts: 1, lastError: 'odd', heldBy: eventId },
      { status: 'held', attempts: 0, heldBy: eventId },
    ]);
    const other = await create();
    expect(publications(await readCommand(other, await send(other, feedback)))).toMatchObject([{ status: 'pending' }]);
  });

  test('held behind one that waits for its retry, which itself is pending', async () => {
    const session = await create();
    const [waits, behind] = [await send(session, feedback), await send(session, feedback)];
    await setOutbox(`status = 'SENT', sent_at = now()`, session, 1);
    await setOutbox(`retry_count = 2, last_error = 'odd', scheduled_at = now() + interval '2 seconds'`, session, 2);
    const [waiting, held] = [await readCommand(session, waits), await readCommand(session, behind)];
    expect(publications(waiting)).toMatchObject([{ status: 'pending', attempts: 2, lastError: 'odd', heldBy: null }]);
    expect(publications(held)).toMatchObject([{ status: 'held', heldBy: waiting.events[0]?.eventId }]);
  });

  test('sent, place unknown, once the row has been cleaned up', async () => {
    const session = await create();
    const id = await send(session, feedback);
    await setOutbox(`status = 'SENT', sent_at = now(), partition = 1, "offset" = 7`, session, 2);
    await pool.query('DELETE FROM event_outbox WHERE key = $1 AND sequence = 2', [session]);
    const command = await readCommand(session, id);
    expect(command.events).toMatchObject([{ aggregateVersion: 2, outbox: null }]);
    expect(publications(command)).toMatchObject([{ status: 'sent', topic: null, partition: null, offset: null }]);
  });
});

describe('a page of commands', () => {
  test('costs two statements, however long it is', async () => {
    const session = await create();
    for (let n = 0; n < 30; n += 1) await send(session, feedback);
    statements.length = 0;
    const page = await queries.listCommands({
      sessionId: session,
      status: null,
      commandType: null,
      before: null,
      limit: 31,
    });
    expect(page.map(({ events }) => events.length)).toEqual(page.map(() => 1));
    expect(page).toHaveLength(31);
    expect(statements).toEqual(['list-commands', 'caused-events']);
  });

  test('holds what the filters let through', async () => {
    const session = await create();
    const asked = await send(session, requestConcepts);
    const fed = await send(session, feedback);
    const list = async (filter: object) => {
      const query = { sessionId: session, status: null, commandType: null, before: null, limit: 100, ...filter };
      return (await queries.listCommands(query)).map(({ commandId }) => commandId);
    };
    expect(await list({ status: 'PROCESSING' })).toEqual([asked]);
    expect(await list({ commandType: 'SubmitFeedback' })).toEqual([fed]);
    expect(await list({ status: 'PROCESSING', commandType: 'SubmitFeedback' })).toEqual([]);
    expect(await list({})).toHaveLength(3);
  });
});

describe('paging through while rows are being added', () => {
  const limits = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });

  /** Pages to the end with the given limits in turn, adding a row after each page. */
  async function readAll<Id>(
    limits: readonly number[],
    page: (before: Id | null, limit: number) => Promise<readonly Id[]>,
    add: () => Promise<unknown>,
  ) {
    const seen: Id[] = [];
    let before: Id | null = null;
    for (let n = 0; ; n += 1) {
      const limit = limits[n % limits.length] ?? 1;
      const ids: readonly Id[] = await page(before, limit);
      seen.push(...ids);
      if (ids.length < limit) return seen;
      before = ids.at(-1) ?? null;
      await add();
    }
  }

  test('every command that was there comes exactly once', async () => {
    const session = await create();
    for (let n = 0; n < 20; n += 1) await send(session, feedback);
    const list = async (before: CommandId | null, limit: number) => {
      const query = { sessionId: session, status: null, commandType: null, before, limit };
      return (await queries.listCommands(query)).map(({ commandId }) => commandId);
    };
    await fc.assert(
      fc.asyncProperty(limits, async (limits) => {
        const there = await list(null, 1_000);
        const seen = await readAll(limits, list, () => send(session, feedback));
        expect(seen).toHaveLength(new Set(seen).size);
        expect(seen.filter((id) => there.includes(id))).toEqual(there);
      }),
      { numRuns: 12 },
    );
  });

  test.each(['eve', null])('every session that was there comes exactly once, for %s', async (user) => {
    for (let n = 0; n < 12; n += 1) await create('eve');
    const list = async (before: SessionId | null, limit: number) => {
      const query = { userId: user as UserId | null, status: null, currentStage: null, before, limit };
      return (await queries.listSessions(query)).map(({ sessionId }) => sessionId);
    };
    await fc.assert(
      fc.asyncProperty(limits, async (limits) => {
        const there = await list(null, 1_000);
        const seen = await readAll(limits, list, () => create('eve'));
        expect(seen).toHaveLength(new Set(seen).size);
        expect(seen.filter((id) => there.includes(id))).toEqual(there);
      }),
      { numRuns: 8 },
    );
  });

  test('every event comes exactly once, in order', async () => {
    const session = await create();
    for (let n = 0; n < 20; n += 1) await send(session, feedback);
    await fc.assert(
      fc.asyncProperty(limits, async (limits) => {
        const versions: number[] = [];
        for (let n = 0, more = true; more; n += 1) {
          const page = await queries.readHistory(session, versions.at(-1) ?? 0, limits[n % limits.length] ?? 1);
          versions.push(...page.events.map(({ aggregateVersion }) => aggregateVersion));
          more = page.more;
          if (n < 3) await send(session, feedback);
        }
        expect(versions).toEqual(Array.from(versions, (_, index) => index + 1));
        expect(versions.length).toBeGreaterThan(20);
      }),
      { numRuns: 8 },
    );
  });
});

describe('large events', () => {
  const large: Command = { type: 'SubmitFeedback', payload: { feedback: '汉'.repeat(10_000) } };

  test('make a page of history shorter, and it says that there is more', async () => {
    const session = await create();
    for (let n = 0; n < 10; n += 1) await Promise.all(Array.from({ length: 16 }, () => send(session, large)));
    const { events, more } = await queries.readHistory(session, 0, 160);
    expect(more).toBe(true);
    expect(events.length).toBeLessThan(160);
    const rest = await queries.readHistory(session, events.length, 160);
    expect(rest).toMatchObject({ more: false, events: { length: 161 - events.length } });
  });

  test('come in bounded pieces to streams: per session and in all, one at least', async () => {
    const [one, two, fresh] = [await create(), await create(), await create()];
    for (const session of [one, two]) for (let n = 0; n < 4; n += 1) await send(session, large);
    const bounds = { eventsPerPosition: 3, bytesPerPosition: 40_000, events: 100, bytes: 50_000 };
    const positions = [one, two, fresh].map((sessionId) => ({ sessionId, after: 1 }));
    const versions = async (changes: Partial<typeof bounds>) => {
      const advances = await createNewEventsReader(read, { ...bounds, ...changes }).readNewEvents(positions);
      return advances.map(({ events, more }) => [...events.map(({ aggregateVersion }) => aggregateVersion), more]);
    };
    expect(await versions({})).toEqual([[2, 3, true], [true], [true]]);
    expect(await versions({ bytes: 1e9 })).toEqual([[2, 3, true], [2, 3, true], [false]]);
    expect(await versions({ bytes: 1e9, bytesPerPosition: 1e9 })).toEqual([[2, 3, 4, true], [2, 3, 4, true], [false]]);
    expect(await versions({ bytes: 1e9, events: 3 })).toEqual([[2, 3, true], [2, true], [true]]);
    expect(await versions({ bytes: 1, bytesPerPosition: 1 })).toEqual([[2, true], [true], [true]]);
    expect(await versions({ bytes: 1e9, bytesPerPosition: 1e9, eventsPerPosition: 9 })).toEqual([
      [2, 3, 4, 5, false],
      [2, 3, 4, 5, false],
      [false],
    ]);
  });
});
