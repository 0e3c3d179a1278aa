import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from 'vitest';
import { committedClient, generatedClient } from '../../checks/client.ts';
import { committedOpenApi } from '../../checks/openapi.ts';
import type { CallOptions } from '../../client/call.ts';
import * as client from '../../client/genesis.ts';
import type { CommandRecord, StoredEvent } from '../../src/events/ports.ts';
import type { EventId } from '../../src/genesis/ids.ts';
import { createApi, EMPTY, REQUEST_ID, SESSION_ID, sessionOf, tokenOf, type Api } from '../http/api-harness.ts';

const root = join(import.meta.dirname, '../..');
const EVENT_ID = '01890a5d-ac96-774b-bcce-b302099a8059' as EventId;
const NOW = Date.UTC(2026, 10, 23, 5, 40);

const command: CommandRecord = {
  commandId: REQUEST_ID,
  sessionId: SESSION_ID,
  commandType: 'UpdateSession',
  status: 'COMPLETED',
  errorMessage: null,
  createdAt: NOW,
  updatedAt: NOW,
  events: [{ eventId: EVENT_ID, eventType: 'Genesis.Session.Updated', aggregateVersion: 2, outbox: null }],
};
const event: StoredEvent = {
  eventId: EVENT_ID,
  eventType: 'Genesis.Session.Created',
  eventVersion: 1,
  sessionId: SESSION_ID,
  aggregateVersion: 1,
  correlationId: REQUEST_ID,
  causationId: REQUEST_ID,
  occurredAt: NOW,
  payload: { title: 'A title', idea: null },
};

let api: Api;
let at: CallOptions;
beforeAll(async () => {
  api = createApi({
    queries: {
      ...EMPTY,
      listSessions: async () => [sessionOf()],
      listCommands: async () => [command],
      readCommand: async () => command,
      readHistory: async () => ({ events: [event], more: false }),
    },
  });
  at = { baseUrl: await api.fastify.listen({ port: 0 }), token: await tokenOf('alice') };
});
afterAll(() => api.fastify.close());

describe('the generated client', () => {
  it('is what the committed document makes; mend by: node checks/client.ts --write', async () => {
    expect(await generatedClient(root)).toBe(committedClient(root));
  });

  it('has a function for every operation', () => {
    const operations = [...committedOpenApi(root).matchAll(/^ {8}"operationId": "(\w+)"/gm)].map(([, name]) => name);
    expect(operations.length).toBeGreaterThan(5);
    expect(operations.filter((name) => !Object.hasOwn(client, name ?? ''))).toEqual([]);
  });
});

describe('by the client', () => {
  it('a session is created, once for each key', async () => {
    const answer = await client.createSession({ title: '星海' }, { 'Idempotency-Key': 'a-key' }, at);
    if (answer.status !== 201) throw new Error(answer.data.message);
    expectTypeOf(answer.data).toEqualTypeOf<client.Session>();
    expect(answer.headers.get('location')).toMatch(/[0-9a-f]{12}$/);
    expect(answer.data.current_stage).toBe('CONCEPT_SELECTION');
    expect(api.requests.at(-1)).toMatchObject({
      idempotencyKey: { key: 'a-key' },
      command: { payload: { title: '星海' } },
    });
  });

  it('a command is sent, for a version that was seen', async () => {
    const update = { command_type: 'UpdateSession', payload: { title: '星海' } } as const;
    const answer = await client.sendCommand(SESSION_ID, update, { 'If-Match': '"1"' }, at);
    expect(answer).toMatchObject({ status: 200, data: { status: 'COMPLETED' } });
    expect(api.requests.at(-1)).toMatchObject({ expectedVersion: 1, command: { type: 'UpdateSession' } });
  });

  it('sessions are listed, with filters', async () => {
    const answer = await client.listSessions({ limit: 1, status: 'IN_PROGRESS' }, {}, at);
    expect(answer).toMatchObject({ status: 200, data: { items: [{ session_id: SESSION_ID }], next_cursor: null } });
  });

  it('a session is read, and not again when it is known', async () => {
    expect(await client.readSession(SESSION_ID, {}, at)).toMatchObject({ status: 200, data: { title: 'A title' } });
    expect(await client.readSession(SESSION_ID, { 'If-None-Match': '"1"' }, at)).toMatchObject({ status: 304 });
  });

  it('commands are listed and read', async () => {
    expect(await client.listCommands(SESSION_ID, {}, {}, at)).toMatchObject({
      status: 200,
      data: { next_cursor: null },
    });
    const answer = await client.readCommand(SESSION_ID, REQUEST_ID, {}, at);
    if (answer.status !== 200) throw new Error(answer.data.message);
    expect(answer.data.events[0]?.publication.status).toBe('sent');
  });

  it('events are listed', async () => {
    const answer = await client.listEvents(SESSION_ID, { after: 0 }, {}, at);
    expect(answer).toMatchObject({ status: 200, data: { items: [{ event_type: 'Genesis.Session.Created' }] } });
  });

  it('health is asked without a token', async () => {
    const open = { baseUrl: at.baseUrl ?? '' };
    expect(await client.getLiveness(open)).toMatchObject({ status: 200, data: { status: 'ok' } });
    expect(await client.getReadiness(open)).toMatchObject({ status: 200, data: { status: 'ready' } });
  });

  it('an error is told by its code', async () => {
    const answer = await client.readSession(REQUEST_ID, {}, at);
    if (answer.status !== 404) throw new Error('found');
    expectTypeOf(answer.data.error_code).toEqualTypeOf<'SESSION_NOT_FOUND'>();
    expect(answer.data.error_code).toBe('SESSION_NOT_FOUND');
  });

  it('a path is escaped', async () => {
    expect(await client.readSession('../../livez', {}, at)).toMatchObject({ status: 400 });
  });
});
