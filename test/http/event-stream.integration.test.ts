import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { createDevelopmentToken } from '../../src/http/development-token.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { SECRET, SESSIONS, tokenOf } from './api-harness.ts';
import { feedback, listenOpenly, startReplica, type Replica, type ReplicaOptions } from './replica.ts';
import { openStream, type StreamOptions, type StreamReader } from './stream-reader.ts';

let database: TestDatabase;
const streams = new Set<StreamReader>();
const replicas = new Set<Replica>();

beforeAll(async () => {
  database = await createTestDatabase();
  return () => database.drop();
});
afterEach(async () => {
  for (const stream of streams) stream.close();
  streams.clear();
  for (const replica of replicas) await replica.stop();
  replicas.clear();
});

async function start(options: ReplicaOptions = {}): Promise<Replica> {
  const replica = await startReplica(database.url, options);
  replicas.add(replica);
  return replica;
}

const eventsUrl = ({ address }: { address: string }, sessionId: string, query = '') =>
  `${address}${SESSIONS}/${sessionId}/events${query}`;

async function open(url: string, options?: StreamOptions): Promise<StreamReader> {
  const stream = await openStream(url, options);
  streams.add(stream);
  return stream;
}

const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, index) => first + index);
const reaches = (stream: StreamReader, version: number) => stream.until(() => stream.versions().at(-1) === version);
/** 30 KB in UTF-8: 400 of them are more than the system's own buffers take. */
const LONG_FEEDBACK = feedback('汉'.repeat(10_000));
/** Longer than any test: what arrives came by a hint. */
const NEVER = 600_000;

describe('a stream', () => {
  test('tells what there is and then what happens, as the JSON form tells it', async () => {
    const replica = await start({ lookInterval: NEVER });
    const session = await replica.createSession();
    const stream = await open(eventsUrl(replica, session));
    await reaches(stream, 1);
    await replica.execute(session, feedback('Two\nlines\r\n\r\nid: 99'));
    await reaches(stream, 2);
    const json = await fetch(eventsUrl(replica, session), {
      headers: { authorization: `Bearer ${await tokenOf('alice')}` },
    });
    const { items } = (await json.json()) as { items: readonly { event_type: string }[] };
    expect(stream.events.map(({ data }) => JSON.parse(data) as unknown)).toStrictEqual(items);
    expect(stream.events.map(({ event }) => event)).toStrictEqual(items.map(({ event_type: type }) => type));
    expect(stream.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      vary: 'accept',
    });
  });

  test('goes on behind Last-Event-ID, or `after`, the header counting more', async () => {
    const replica = await start();
    const session = await replica.createSession();
    for (const text of ['2', '3', '4']) await replica.execute(session, feedback(text));
    const url = eventsUrl(replica, session);
    const resumed = await open(url, { headers: { 'last-event-id': '2' } });
    const after = await open(`${url}?after=3`);
    const both = await open(`${url}?after=3`, { headers: { 'last-event-id': '1' } });
    for (const stream of [resumed, after, both]) await reaches(stream, 4);
    expect(resumed.versions()).toEqual([3, 4]);
    expect(after.versions()).toEqual([4]);
    expect(both.versions()).toEqual([2, 3, 4]);
  });

  test('takes a Last-Event-ID ahead of the session at its word, and is silent until that version is passed', async () => {
    const replica = await start();
    const session = await replica.createSession();
    const stream = await open(eventsUrl(replica, session), { headers: { 'last-event-id': '3' } });
    for (const text of ['2', '3', '4']) await replica.execute(session, feedback(text));
    await expect.poll(() => stream.versions()).toEqual([4]);
  });

  test('has no gap and no repetition when it is cut and resumed again and again while events happen', async () => {
    const replica = await start();
    const session = await replica.createSession();
    const last = 60;
    const writing = (async () => {
      for (let version = 2; version <= last; version += 1) await replica.execute(session, feedback(`${version}`));
    })();
    const seen: number[] = [];
    while (seen.at(-1) !== last) {
      const stream = await open(eventsUrl(replica, session), { headers: { 'last-event-id': `${seen.at(-1) ?? 0}` } });
      await stream.until(() => stream.versions().length > 0);
      stream.close();
      seen.push(...stream.versions());
    }
    await writing;
    expect(seen).toEqual(upTo(last));
  });

  test('tells what another replica took', async () => {
    const [one, other] = [await start({ lookInterval: 50 }), await start({ lookInterval: NEVER })];
    const session = await other.createSession();
    const stream = await open(eventsUrl(one, session));
    await reaches(stream, 1);
    await other.execute(session, feedback('from afar'));
    await reaches(stream, 2);
    expect(stream.versions()).toEqual([1, 2]);
  });

  test('begins at once, before there is an event to tell', async () => {
    const replica = await start();
    const session = await replica.createSession();
    const stream = await open(eventsUrl(replica, session, '?after=7'));
    expect(stream.status).toBe(200);
    expect(stream.events).toEqual([]);
  });

  test('breaks its silence by a comment', async () => {
    const replica = await start({ streamLimits: { heartbeat: 40, sweep: 10 } });
    const stream = await open(eventsUrl(replica, await replica.createSession()));
    await stream.until(() => stream.comments.length >= 3);
    expect(new Set(stream.comments)).toEqual(new Set(['heartbeat']));
    expect(stream.versions()).toEqual([1]);
  });

  test('ends when the token does, and says so', async () => {
    const replica = await start({ streamLimits: { sweep: 10 } });
    const session = await replica.createSession();
    const token = await createDevelopmentToken({ secret: SECRET, user: 'alice', roles: [], expiresIn: 1 });
    const stream = await open(eventsUrl(replica, session), { token });
    const lasting = await open(eventsUrl(replica, session));
    await stream.ended;
    expect(stream.events.at(-1)).toEqual({ id: null, event: 'end', data: '{"reason":"TOKEN_EXPIRED"}' });
    await replica.execute(session, feedback('still here'));
    await reaches(lasting, 2);
  });
});

describe('who may follow', () => {
  test.each([
    ['alice', [], 200],
    ['robot', ['agent'], 200],
    ['ops', ['operator'], 200],
    ['bob', [], 404],
  ])('%s %j: %i', async (as, roles, status) => {
    const replica = await start();
    const stream = await open(eventsUrl(replica, await replica.createSession()), { as, roles });
    expect(stream.status).toBe(status);
    if (status === 404) expect(stream.headers['content-type']).toContain('application/problem+json');
  });

  test.each([
    ['?limit=5', {}],
    ['?cursor=x', {}],
    ['?token=x', {}],
    ['', { 'last-event-id': 'x' }],
    ['', { 'last-event-id': '-1' }],
    ['', { 'last-event-id': '1, 2' }],
    ['', { 'last-event-id': '99999999999' }],
  ])('%s %j is a 400', async (query, headers) => {
    const replica = await start();
    const stream = await open(eventsUrl(replica, await replica.createSession(), query), { headers });
    expect(stream.status).toBe(400);
  });

  test('a bad token is a 401', async () => {
    const replica = await start();
    const stream = await open(eventsUrl(replica, await replica.createSession()), { token: 'x.y.z' });
    expect(stream.status).toBe(401);
  });

  test('one more than there is room for is told to come later', async () => {
    const replica = await start({ streamLimits: { streams: 1 } });
    const url = eventsUrl(replica, await replica.createSession());
    const first = await open(url);
    const refused = await open(url);
    expect(refused.status).toBe(503);
    expect(refused.headers['retry-after']).toBeDefined();
    first.close();
    await vi.waitFor(async () => expect((await open(url)).status).toBe(200));
  });

  test('HEAD tells of the stream and takes nobody’s place', async () => {
    const replica = await start({ streamLimits: { streams: 1 } });
    const url = eventsUrl(replica, await replica.createSession());
    const headers = { accept: 'text/event-stream', authorization: `Bearer ${await tokenOf('alice')}` };
    for (let n = 0; n < 2; n += 1) {
      const answer = await fetch(url, { method: 'HEAD', headers });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
      expect(await answer.text()).toBe('');
    }
    expect((await open(url)).status).toBe(200);
  });
});

describe('many readers', () => {
  const READERS = 1_000;
  const FOLLOWED = 100;

  test('a thousand get every event of their sessions, and one look costs one query however many they are', async () => {
    const replica = await start({ lookInterval: 200 });
    const sessions = await Promise.all(upTo(FOLLOWED).map(() => replica.createSession()));
    const readers = await Promise.all(upTo(READERS).map((n) => open(eventsUrl(replica, sessions[n % FOLLOWED] ?? ''))));
    await Promise.all(readers.map((reader) => reaches(reader, 1)));

    replica.statements.length = 0;
    const began = performance.now();
    await vi.waitFor(() => expect(replica.statements.length).toBeGreaterThanOrEqual(5), { timeout: 20_000 });
    const looks = (performance.now() - began) / 200;
    expect(replica.statements.length).toBeLessThanOrEqual(looks + 2);
    expect(new Set(replica.statements)).toEqual(new Set(['new-events']));

    await Promise.all(sessions.map((session) => replica.execute(session, feedback('all of you'))));
    await Promise.all(readers.map((reader) => reaches(reader, 2)));
    expect(readers.every((reader) => reader.versions().join() === '1,2')).toBe(true);
  });
});

describe('a slow reader', () => {
  const EVENTS = 400;

  test('waits for itself alone, holds a bounded share of memory, and misses nothing', async () => {
    const replica = await start();
    const server = await listenOpenly(replica.dependencies);
    onTestFinished(() => server.close());
    const session = await replica.createSession();
    const slow = await open(eventsUrl(server, session));
    slow.pause();
    const fast = await open(eventsUrl(server, session));
    let most = 0;
    for (let written = 1; written < EVENTS; written += 20) {
      const batch = upTo(Math.min(20, EVENTS - written)).map(() => replica.execute(session, LONG_FEEDBACK));
      await Promise.all(batch);
      await reaches(fast, Math.min(written + 20, EVENTS));
      most = Math.max(most, ...[...server.sockets].map((socket) => socket.writableLength));
    }
    expect(fast.versions()).toEqual(upTo(EVENTS));
    expect(most).toBeGreaterThan(0);
    // What a socket holds before it says so, and one event.
    expect(most).toBeLessThan(150_000);
    expect(slow.versions().length).toBeLessThan(EVENTS);
    slow.resume();
    await reaches(slow, EVENTS);
    expect(slow.versions()).toEqual(upTo(EVENTS));
  });
});

describe('one that takes nothing', () => {
  test('is cut off when its token expires', async () => {
    const replica = await start({ streamLimits: { sweep: 10 } });
    const server = await listenOpenly(replica.dependencies);
    onTestFinished(() => server.close());
    const session = await replica.createSession();
    for (let n = 0; n < 20; n += 1) await Promise.all(upTo(20).map(() => replica.execute(session, LONG_FEEDBACK)));
    const token = await createDevelopmentToken({ secret: SECRET, user: 'alice', roles: [], expiresIn: 1 });
    (await open(eventsUrl(server, session), { token })).pause();
    const [socket] = server.sockets;
    if (socket === undefined) throw new Error('nobody has connected');
    if (!socket.destroyed) await once(socket, 'close');
  });
});

describe('stopping the server', () => {
  test('ends the streams, says why, and does not wait for them', async () => {
    const replica = await start({ stopGrace: 20_000 });
    const session = await replica.createSession();
    const readers = await Promise.all(upTo(20).map(() => open(eventsUrl(replica, session))));
    await Promise.all(readers.map((reader) => reaches(reader, 1)));
    const began = performance.now();
    await replica.stopServer();
    expect(performance.now() - began).toBeLessThan(10_000);
    await Promise.all(readers.map(({ ended }) => ended));
    const end = { id: null, event: 'end', data: '{"reason":"SERVER_STOPPING"}' };
    expect(readers.map(({ events }) => events.at(-1))).toEqual(readers.map(() => end));
  });

  test('does not wait for one that takes nothing', async () => {
    const replica = await start({ stopGrace: 20_000 });
    const session = await replica.createSession();
    const authorization = `Bearer ${await tokenOf('alice')}`;
    const path = `${SESSIONS}/${session}/events`;
    const socket = connect(Number(new URL(replica.address).port), '127.0.0.1').pause();
    socket.on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
    await once(socket, 'connect');
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAuthorization: ${authorization}\r\n\r\n`,
    );
    const follower = await open(eventsUrl(replica, session));
    for (let n = 0; n < 20; n += 1) await Promise.all(upTo(20).map(() => replica.execute(session, LONG_FEEDBACK)));
    await reaches(follower, 401);
    const began = performance.now();
    await replica.stopServer();
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  test('opens no further stream on a connection that is still there', async () => {
    const replica = await start();
    const server = await listenOpenly(replica.dependencies);
    const session = await replica.createSession();
    const socket = connect(Number(new URL(server.address).port), '127.0.0.1').setEncoding('utf8');
    onTestFinished(() => void socket.destroy());
    await once(socket, 'connect');
    let received = '';
    socket.on('data', (chunk: string) => {
      received += chunk;
    });
    const head = `HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${await tokenOf('alice')}\r\nAccept: text/event-stream\r\n`;
    // The beginning of a request keeps the connection open while the server stops.
    socket.write(`GET ${SESSIONS}/${session}/events ${head}`);
    const before = await open(eventsUrl(server, session));
    const closing = server.close();
    await before.ended;
    socket.write('\r\n');
    await vi.waitFor(() => expect(received).toContain('503'));
    socket.destroy();
    await closing;
  });
});
