import { Compile } from 'typebox/compile';
import { describe, expect, it } from 'vitest';
import { GenesisError } from '../../src/errors.ts';
import type { CommandQuery, CommandRecord, Queries, SessionQuery, StoredEvent } from '../../src/events/ports.ts';
import type { EventId } from '../../src/genesis/ids.ts';
import { encodeCursor } from '../../src/http/cursor.ts';
import { CommandListSchema, CommandSchema, EventListSchema, SessionListSchema } from '../../src/http/schemas.ts';
import { COMMANDS, createApi, EMPTY, get, REQUEST_ID, SESSION_ID, sessionOf, SESSIONS } from './api-harness.ts';

const EVENTS = `${SESSIONS}/${SESSION_ID}/events`;
const COMMAND = `${COMMANDS}/${REQUEST_ID}`;
const EVENT_ID = '01890a5d-ac96-774b-bcce-b302099a8060' as EventId;
const at = Date.UTC(2026, 10, 23, 5, 42, 0, 789);

const COMPLETED: CommandRecord = {
  commandId: REQUEST_ID,
  sessionId: SESSION_ID,
  commandType: 'ConfirmStage',
  status: 'COMPLETED',
  errorMessage: null,
  createdAt: at,
  updatedAt: at + 1,
  events: [
    {
      eventId: EVENT_ID,
      eventType: 'Genesis.Session.Confirmed',
      aggregateVersion: 4,
      outbox: {
        status: 'SENT',
        topic: 'domain-events',
        partition: 3,
        offset: 1041,
        sentAt: at + 5,
        retryCount: 0,
        lastError: null,
        blockedBy: null,
      },
    },
    { eventId: EVENT_ID, eventType: 'Genesis.Session.Finished', aggregateVersion: 5, outbox: null },
  ],
};

const CREATED: StoredEvent = {
  eventId: EVENT_ID,
  eventType: 'Genesis.Session.Created',
  eventVersion: 1,
  sessionId: SESSION_ID,
  aggregateVersion: 1,
  correlationId: REQUEST_ID,
  causationId: REQUEST_ID,
  occurredAt: at,
  payload: { title: '星海', idea: null },
};

/** An API over queries that answer as told and note what they were asked. */
function apiOver(changes: Partial<Queries> = {}) {
  const asked: (SessionQuery | CommandQuery | readonly unknown[])[] = [];
  const queries: Queries = { ...EMPTY, ...changes };
  const noting: Queries = {
    listSessions: (query) => (asked.push(query), queries.listSessions(query)),
    listCommands: (query) => (asked.push(query), queries.listCommands(query)),
    readCommand: (...ids) => (asked.push(ids), queries.readCommand(...ids)),
    readHistory: (...query) => (asked.push(query), queries.readHistory(...query)),
  };
  return { api: createApi({ queries: noting }), asked };
}

describe('listing sessions', () => {
  it('answers with sessions as they are read singly, and no cursor when there are no more', async () => {
    const { api } = apiOver({ listSessions: async () => [sessionOf()] });
    const answer = await get(api, SESSIONS);
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toStrictEqual({
      items: [(await get(api, `${SESSIONS}/${SESSION_ID}`)).json()],
      next_cursor: null,
    });
    expect(Compile(SessionListSchema).Check(answer.json())).toBe(true);
    expect(answer.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'private, no-cache',
      'x-content-type-options': 'nosniff',
    });
  });

  it.each([
    ['an author', 'bob', [], 'bob'],
    ['an author who says so', 'bob', ['author'], 'bob'],
    ['an agent', 'robot', ['agent'], null],
    ['an operator', 'ops', ['operator'], null],
    ['an author who is an operator too', 'ops', ['author', 'operator'], null],
  ])('%s is shown what may be seen', async (_who, as, roles, userId) => {
    const { api, asked } = apiOver();
    await get(api, SESSIONS, { as, roles });
    expect(asked).toStrictEqual([{ userId, status: null, currentStage: null, before: null, limit: 21 }]);
  });

  it('asks for what was filtered, at the place of the cursor, and one more than the page', async () => {
    const { api, asked } = apiOver();
    const cursor = encodeCursor('sessions', SESSION_ID);
    await get(api, `${SESSIONS}?status=ABANDONED&current_stage=PLOT_OUTLINE&limit=100&cursor=${cursor}`);
    expect(asked).toStrictEqual([
      { userId: 'alice', status: 'ABANDONED', currentStage: 'PLOT_OUTLINE', before: SESSION_ID, limit: 101 },
    ]);
  });

  it('keeps back the one more, and gives the place of the last', async () => {
    const ids = ['a', 'b', 'c'].map((digit) => `01890a5d-ac96-774b-bcce-b302099a805${digit}` as typeof SESSION_ID);
    const { api, asked } = apiOver({ listSessions: async () => ids.map((sessionId) => sessionOf({ sessionId })) });
    const page = (await get(api, `${SESSIONS}?limit=2`)).json<{ items: object[]; next_cursor: string }>();
    expect(page.items).toMatchObject([{ session_id: ids[0] }, { session_id: ids[1] }]);
    await get(api, `${SESSIONS}?cursor=${page.next_cursor}`);
    expect(asked[1]).toMatchObject({ before: ids[1] });
  });
});

describe('where a command is', () => {
  it('is told down to its place in the topic', async () => {
    const { api, asked } = apiOver({ readCommand: async () => COMPLETED });
    const answer = await get(
      api,
      COMMAND.toUpperCase().replace(SESSIONS.toUpperCase(), SESSIONS).replace('/COMMANDS/', '/commands/'),
    );
    expect(asked).toStrictEqual([[SESSION_ID, REQUEST_ID]]);
    expect(answer.json()).toStrictEqual({
      command_id: REQUEST_ID,
      session_id: SESSION_ID,
      command_type: 'ConfirmStage',
      status: 'COMPLETED',
      message: 'Command processed successfully',
      error: null,
      created_at: '2026-11-23T05:42:00.789Z',
      completed_at: '2026-11-23T05:42:00.790Z',
      events: [
        {
          event_id: EVENT_ID,
          event_type: 'Genesis.Session.Confirmed',
          aggregate_version: 4,
          publication: {
            status: 'sent',
            topic: 'domain-events',
            partition: 3,
            offset: 1041,
            sent_at: '2026-11-23T05:42:00.794Z',
            attempts: 1,
            last_error: null,
            held_by: null,
          },
        },
        {
          event_id: EVENT_ID,
          event_type: 'Genesis.Session.Finished',
          aggregate_version: 5,
          publication: {
            status: 'sent',
            topic: null,
            partition: null,
            offset: null,
            sent_at: null,
            attempts: null,
            last_error: null,
            held_by: null,
          },
        },
      ],
    });
    expect(Compile(CommandSchema).Check(answer.json())).toBe(true);
  });

  it.each([
    ['PROCESSING', null, 'Command accepted for processing', null],
    ['FAILED', 'SUPERSEDED', 'Command failed', '2026-11-23T05:42:00.790Z'],
  ] as const)('%s', async (status, errorMessage, message, completedAt) => {
    const { api } = apiOver({ readCommand: async () => ({ ...COMPLETED, status, errorMessage }) });
    const answer = await get(api, COMMAND);
    expect(answer.json()).toMatchObject({ status, error: errorMessage, message, completed_at: completedAt });
  });

  it('is a 404 for a command that the session does not have', async () => {
    const answer = await get(createApi(), COMMAND);
    expect(answer.json()).toMatchObject({ status: 404, error_code: 'NOT_FOUND' });
  });

  it('is listed with the others of its session', async () => {
    const { api, asked } = apiOver({ listCommands: async () => [COMPLETED, COMPLETED] });
    const cursor = encodeCursor('commands', REQUEST_ID);
    const answer = await get(api, `${COMMANDS}?limit=1&status=COMPLETED&command_type=ConfirmStage&cursor=${cursor}`);
    expect(asked).toStrictEqual([
      { sessionId: SESSION_ID, status: 'COMPLETED', commandType: 'ConfirmStage', before: REQUEST_ID, limit: 2 },
    ]);
    expect(answer.json()).toMatchObject({ items: [{ command_id: REQUEST_ID }], next_cursor: cursor });
    expect(Compile(CommandListSchema).Check(answer.json())).toBe(true);
  });
});

describe('the history of a session', () => {
  it('is told in the current version of each event, and the one it was written in', async () => {
    const { api, asked } = apiOver({ readHistory: async () => ({ events: [CREATED], more: false }) });
    const answer = await get(api, EVENTS);
    expect(asked).toStrictEqual([[SESSION_ID, 0, 20]]);
    expect(answer.json()).toStrictEqual({
      items: [
        {
          event_id: EVENT_ID,
          event_type: 'Genesis.Session.Created',
          event_version: 1,
          stored_version: 1,
          aggregate_version: 1,
          correlation_id: REQUEST_ID,
          causation_id: REQUEST_ID,
          occurred_at: '2026-11-23T05:42:00.789Z',
          payload: { title: '星海', idea: null },
        },
      ],
      next_cursor: null,
    });
    expect(Compile(EventListSchema).Check(answer.json())).toBe(true);
    expect(answer.headers).toMatchObject({ vary: 'accept', 'cache-control': 'private, no-cache' });
  });

  it('shows an event that is newer than this program as it was written', async () => {
    const newer = { ...CREATED, eventVersion: 9, payload: { headline: 'x' } };
    const { api } = apiOver({ readHistory: async () => ({ events: [newer], more: false }) });
    expect((await get(api, EVENTS)).json()).toMatchObject({
      items: [{ event_version: 9, stored_version: 9, payload: { headline: 'x' } }],
    });
  });

  it('goes on after a version, or where the last page ended, however short that was', async () => {
    const { api, asked } = apiOver({ readHistory: async () => ({ events: [CREATED], more: true }) });
    const page = (await get(api, `${EVENTS}?after=0&limit=5`)).json<{ next_cursor: string }>();
    await get(api, `${EVENTS}?cursor=${page.next_cursor}`);
    expect(asked).toStrictEqual([
      [SESSION_ID, 0, 5],
      [SESSION_ID, 1, 20],
    ]);
  });

  it('is JSON for whoever accepts neither form', async () => {
    const answer = await get(createApi(), EVENTS, { headers: { accept: 'text/html' } });
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
  });
});

describe('what cannot be read is a 400, before anything is looked up', () => {
  const cursor = (kind: 'sessions' | 'commands' | 'events', position: string) => encodeCursor(kind, position);
  it.each([
    [`${SESSIONS}?limit=3&limit=4`, /query parameter limit comes more than once/],
    [`${SESSIONS}?limit=0`, /limit/],
    [`${SESSIONS}?limit=101`, /limit/],
    [`${SESSIONS}?limit=1.5`, /limit/],
    [`${SESSIONS}?limit=1e1`, /limit/],
    [`${SESSIONS}?limit=+1`, /limit/],
    [`${SESSIONS}?limit=`, /limit/],
    [`${SESSIONS}?limit=1&limit=2`, /limit/],
    [`${SESSIONS}?status=OPEN`, /status/],
    [`${SESSIONS}?status=abandoned`, /status/],
    [`${SESSIONS}?current_stage=`, /current_stage/],
    [`${SESSIONS}?user_id=bob`, /user_id/],
    [`${SESSIONS}?access_token=x`, /access_token/],
    [`${SESSIONS}?__proto__=x`, /parameter/],
    [`${SESSIONS}?constructor=x`, /constructor/],
    [`${SESSIONS}?cursor=`, /cursor/],
    [`${SESSIONS}?cursor=x`, /cursor/],
    [`${SESSIONS}?cursor=${'x'.repeat(201)}`, /cursor/],
    [`${SESSIONS}?cursor=${cursor('commands', SESSION_ID)}`, /cursor/],
    [`${COMMANDS}?cursor=${cursor('sessions', SESSION_ID)}`, /cursor/],
    [`${COMMANDS}?command_type=Write`, /command_type/],
    [`${COMMANDS}?after=1`, /after/],
    [`${COMMANDS}/x`, /command_id/],
    [`${COMMAND}?limit=1`, /limit/],
    [`${SESSIONS}/x/commands`, /session_id/],
    [`${SESSIONS}/x/commands/${REQUEST_ID}`, /session_id/],
    [`${SESSIONS}/urn:uuid:${SESSION_ID}/events`, /session_id/],
    [`${EVENTS}?after=-1`, /after/],
    [`${EVENTS}?after=2147483648`, /after/],
    [`${EVENTS}?after=01`, /after/],
    [`${EVENTS}?after=1&cursor=${cursor('events', '1')}`, /both/],
    [`${EVENTS}?cursor=${cursor('commands', REQUEST_ID)}`, /cursor/],
  ])('%s', async (url, message) => {
    const { api, asked } = apiOver();
    const answer = await get(api, url);
    expect(answer.json()).toMatchObject({ status: 400, error_code: 'MALFORMED_REQUEST' });
    expect(answer.json<{ message: string }>().message).toMatch(message);
    expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
    expect(api.reads).toStrictEqual([]);
    expect(asked).toStrictEqual([]);
  });
});

describe('who may see what', () => {
  const urls = [COMMANDS, COMMAND, EVENTS];
  const queries: Queries = { ...EMPTY, readCommand: async () => COMPLETED };
  it.each(
    urls.flatMap((url) => [
      [url, 'alice', [], 200] as const,
      [url, 'robot', ['agent'], 200] as const,
      [url, 'ops', ['operator'], 200] as const,
      [url, 'bob', [], 404] as const,
      [url, 'bob', ['author'], 404] as const,
    ]),
  )('%s as %s %j: %i', async (url, as, roles, status) => {
    const answer = await get(createApi({ queries }), url, { as, roles });
    expect(answer.statusCode).toBe(status);
    if (status === 404) expect(answer.json()).toMatchObject({ error_code: 'SESSION_NOT_FOUND' });
  });

  it.each(urls)('%s asks the database nothing about somebody else’s session', async (url) => {
    const { api, asked } = apiOver();
    await get(api, url, { as: 'bob' });
    expect(asked).toStrictEqual([]);
  });

  it.each([SESSIONS, ...urls])('%s without a token is 401, whatever else is wrong', async (url) => {
    const { fastify } = createApi();
    const answer = await fastify.inject({ url: `${url}?limit=0` });
    expect(answer.statusCode).toBe(401);
  });

  it.each([SESSIONS, ...urls])('%s is 503 while the database is away', async (url) => {
    const away = () => Promise.reject(new GenesisError('UNAVAILABLE', 'away'));
    const api = createApi({
      queries: { listSessions: away, listCommands: away, readCommand: away, readHistory: away },
    });
    const answer = await get(api, url);
    expect(answer.statusCode).toBe(503);
    expect(answer.headers['retry-after']).toBeDefined();
  });
});
