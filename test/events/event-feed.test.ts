import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { EventFeed } from '../../src/events/event-feed.ts';
import type { SessionId } from '../../src/genesis/ids.ts';
import { aSession, RecordedHistory } from './recorded-history.ts';

const LOOK = 1_000;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

async function startFeed(history = new RecordedHistory()) {
  const told: string[] = [];
  const feed = new EventFeed(history, {
    lookInterval: LOOK,
    onOutage: () => told.push('outage'),
    onRecovery: () => told.push('recovery'),
  });
  await feed.start();
  return { feed, history, told };
}

/** Lets everything happen that needs no time. */
const settle = () => vi.advanceTimersByTimeAsync(0);
const look = () => vi.advanceTimersByTimeAsync(LOOK);

/** Follows a session and notes the versions it gets; has room for `room` of them until it resumes. */
function follow(feed: EventFeed, sessionId: SessionId, after = 0, room = Infinity) {
  const versions: number[] = [];
  const state = { room };
  const subscription = feed.follow({ sessionId, after }, (event) => {
    expect(event.sessionId).toBe(sessionId);
    versions.push(event.aggregateVersion);
    state.room -= 1;
    return state.room > 0;
  });
  const resume = (more: number) => {
    state.room = more;
    subscription.resume();
  };
  return { versions, resume, close: () => subscription.close() };
}

const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, index) => first + index);

describe('following a session', () => {
  test('begins with what there is, without waiting for a look', async () => {
    const { feed, history } = await startFeed();
    const session = aSession();
    history.append(session, 3);
    const { versions } = follow(feed, session);
    await settle();
    expect(versions).toEqual([1, 2, 3]);
  });

  test('begins behind the version that was seen last', async () => {
    const { feed, history } = await startFeed();
    const session = aSession();
    history.append(session, 5);
    const { versions } = follow(feed, session, 3);
    await settle();
    expect(versions).toEqual([4, 5]);
  });

  test('goes on at a hint', async () => {
    const { feed, history } = await startFeed();
    const session = aSession();
    const { versions } = follow(feed, session);
    await settle();
    history.append(session);
    feed.wake(session);
    await settle();
    expect(versions).toEqual([1]);
  });

  test('goes on without a hint, after one look', async () => {
    const { feed, history } = await startFeed();
    const session = aSession();
    const { versions } = follow(feed, session);
    await settle();
    history.append(session);
    await settle();
    expect(versions).toEqual([]);
    await look();
    expect(versions).toEqual([1]);
  });

  test('loses no hint that comes while a query is under way that has not seen its event', async () => {
    const { feed, history } = await startFeed();
    const session = aSession();
    history.meanwhile = () => {
      history.meanwhile = () => undefined;
      history.append(session);
      feed.wake(session);
    };
    const { versions } = follow(feed, session);
    await settle();
    expect(versions).toEqual([1]);
  });

  test('loses no hint that comes in the moment in which the last query was done', async () => {
    const { feed, history } = await startFeed();
    const session = aSession();
    history.meanwhile = () => {
      history.meanwhile = () => undefined;
      let microtasks = 0;
      const later = () => {
        microtasks += 1;
        if (microtasks <= 12) queueMicrotask(later);
        history.append(session);
        feed.wake(session);
      };
      queueMicrotask(later);
    };
    const { versions } = follow(feed, session);
    await settle();
    expect(versions).toEqual(upTo(13));
  });

  test('carries a history that is longer than one query may be', async () => {
    const { feed, history } = await startFeed(new RecordedHistory({ perPosition: 4, inAll: 100 }));
    const session = aSession();
    history.append(session, 18);
    const { versions } = follow(feed, session);
    await settle();
    expect(versions).toEqual(upTo(18));
  });

  test('ends with close, also in the middle of a delivery', async () => {
    const { feed, history } = await startFeed();
    const session = aSession();
    history.append(session, 3);
    const versions: number[] = [];
    const subscription = feed.follow({ sessionId: session, after: 0 }, ({ aggregateVersion }) => {
      versions.push(aggregateVersion);
      subscription.close();
      return true;
    });
    await settle();
    await look();
    expect(versions).toEqual([1]);
    expect(history.queries).toHaveLength(1);
  });

  test('does not outlive the feed', async () => {
    const { feed, history } = await startFeed();
    const session = aSession();
    follow(feed, session);
    await settle();
    await feed.stop();
    const { length } = history.queries;
    feed.wake(session);
    await look();
    expect(history.queries).toHaveLength(length);
  });

  test('stops only when the query under way has ended', async () => {
    const { feed, history } = await startFeed();
    const { promise, resolve } = Promise.withResolvers<void>();
    history.meanwhile = () => promise;
    follow(feed, aSession());
    let stopped = false;
    const stopping = feed.stop().then(() => {
      stopped = true;
    });
    await settle();
    expect(stopped).toBe(false);
    resolve();
    await stopping;
  });
});

describe('what many readers cost', () => {
  test('a thousand readers of one session: one query, one position', async () => {
    const { feed, history } = await startFeed();
    const session = aSession();
    history.append(session);
    const readers = upTo(1_000).map(() => follow(feed, session));
    await settle();
    expect(readers.every(({ versions }) => versions.length === 1)).toBe(true);
    history.queries.length = 0;
    history.append(session);
    feed.wake(session);
    await settle();
    expect(history.queries).toEqual([[{ sessionId: session, after: 1 }]]);
    expect(readers.every(({ versions }) => versions.length === 2)).toBe(true);
  });

  test('a thousand sessions: one query a look', async () => {
    const { feed, history } = await startFeed();
    const sessions = upTo(1_000).map(() => aSession());
    for (const session of sessions) follow(feed, session);
    await settle();
    history.queries.length = 0;
    await look();
    await look();
    expect(history.queries.map((positions) => positions.length)).toEqual([1_000, 1_000]);
  });

  test('hints for many sessions that come at once share a query, those for sessions nobody follows cost none', async () => {
    const { feed, history } = await startFeed();
    const sessions = upTo(100).map(() => aSession());
    for (const session of sessions) follow(feed, session);
    await settle();
    history.queries.length = 0;
    for (const session of sessions) feed.wake(session);
    for (let n = 0; n < 100; n += 1) feed.wake(aSession());
    await settle();
    expect(history.queries.map((positions) => positions.length)).toEqual([1, 99]);
  });

  test('nobody follows: no query', async () => {
    const { feed, history } = await startFeed();
    const { close } = follow(feed, aSession());
    await settle();
    close();
    await look();
    expect(history.queries).toHaveLength(1);
  });

  test('long histories do not starve the others', async () => {
    const { feed, history } = await startFeed(new RecordedHistory({ perPosition: 5, inAll: 10 }));
    const long = upTo(4).map(() => aSession());
    for (const session of long) history.append(session, 200);
    const longReaders = long.map((session) => follow(feed, session));
    const short = aSession();
    history.append(short);
    let reads = 0;
    feed.follow({ sessionId: short, after: 0 }, () => {
      reads = history.queries.length;
      return true;
    });
    await settle();
    expect(reads).toBeLessThanOrEqual(4);
    expect(longReaders.map(({ versions }) => versions)).toEqual(long.map(() => upTo(200)));
  });
});

describe('a slow reader', () => {
  test('gets nothing it has no room for, and later all of it', async () => {
    const { feed, history } = await startFeed();
    const session = aSession();
    history.append(session, 10);
    const slow = follow(feed, session, 0, 4);
    await settle();
    expect(slow.versions).toEqual(upTo(4));
    history.append(session, 2);
    feed.wake(session);
    await look();
    expect(slow.versions).toEqual(upTo(4));
    slow.resume(3);
    await settle();
    expect(slow.versions).toEqual(upTo(7));
    slow.resume(100);
    await settle();
    expect(slow.versions).toEqual(upTo(12));
  });

  test('costs no query while it has no room', async () => {
    const { feed, history } = await startFeed();
    const session = aSession();
    history.append(session, 10);
    follow(feed, session, 0, 4);
    await settle();
    const { length } = history.queries;
    feed.wake(session);
    await look();
    expect(history.queries).toHaveLength(length);
  });

  test('costs the other readers of its session nothing', async () => {
    const { feed, history } = await startFeed();
    const session = aSession();
    history.append(session, 10);
    follow(feed, session, 0, 1);
    const fast = follow(feed, session);
    await settle();
    history.append(session);
    feed.wake(session);
    await settle();
    expect(fast.versions).toEqual(upTo(11));
  });
});

describe('a database that is away', () => {
  test('makes readers wait, and is told once, as is its return', async () => {
    const { feed, history, told } = await startFeed();
    const session = aSession();
    history.failure = new Error('away');
    const { versions } = follow(feed, session);
    await settle();
    await look();
    await look();
    history.append(session);
    expect(told).toEqual(['outage']);
    history.failure = null;
    await look();
    expect(told).toEqual(['outage', 'recovery']);
    expect(versions).toEqual([1]);
  });

  test('is not asked more often than once a look', async () => {
    const { feed, history } = await startFeed();
    history.failure = new Error('away');
    for (let n = 0; n < 10; n += 1) follow(feed, aSession());
    await settle();
    history.queries.length = 0;
    await look();
    await look();
    expect(history.queries).toHaveLength(2);
  });
});
