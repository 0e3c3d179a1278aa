import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { EventFeed } from '../../src/events/event-feed.ts';
import { aSession, RecordedHistory } from './recorded-history.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const SESSIONS = 3;
const session = fc.nat({ max: SESSIONS - 1 });
const step = fc.oneof(
  fc.record({
    kind: fc.constant('append' as const),
    session,
    hint: fc.boolean(),
    count: fc.integer({ min: 1, max: 5 }),
  }),
  fc.record({
    kind: fc.constant('follow' as const),
    session,
    after: fc.nat({ max: 6 }),
    room: fc.integer({ min: 1, max: 9 }),
  }),
  fc.record({ kind: fc.constant('resume' as const), reader: fc.nat(), room: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ kind: fc.constant('close' as const), reader: fc.nat() }),
  fc.record({ kind: fc.constant('fail' as const), failing: fc.boolean() }),
  fc.record({ kind: fc.constant('settle' as const) }),
  fc.record({ kind: fc.constant('look' as const) }),
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

interface Reader {
  readonly session: number;
  readonly after: number;
  readonly versions: number[];
  room: number;
  closed: boolean;
  resume(): void;
  close(): void;
}

/** Whatever happens in whatever order, and in the middle of whatever query. */
class World {
  readonly history = new RecordedHistory({ perPosition: 3, inAll: 5 });
  readonly feed = new EventFeed(this.history, { lookInterval: 1_000, onOutage: () => 0, onRecovery: () => 0 });
  readonly ids = Array.from({ length: SESSIONS }, aSession);
  readonly counts = this.ids.map(() => 0);
  readonly readers: Reader[] = [];

  async take(current: Step): Promise<void> {
    if (current.kind === 'settle') await vi.advanceTimersByTimeAsync(0);
    else if (current.kind === 'look') await vi.advanceTimersByTimeAsync(1_000);
    else if (current.kind === 'append') this.#append(current);
    else if (current.kind === 'follow') this.#follow(current.session, current.after, current.room);
    else if (current.kind === 'fail') this.history.failure = current.failing ? new Error('away') : null;
    else this.#change(current);
  }

  #append({ session, count, hint }: { session: number; count: number; hint: boolean }): void {
    const id = this.ids[session] ?? aSession();
    this.history.append(id, count);
    this.counts[session] = (this.counts[session] ?? 0) + count;
    if (hint) this.feed.wake(id);
  }

  #follow(session: number, after: number, room: number): void {
    const versions: number[] = [];
    const subscription = this.feed.follow({ sessionId: this.ids[session] ?? aSession(), after }, (event) => {
      expect(reader.closed || reader.room === 0).toBe(false);
      versions.push(event.aggregateVersion);
      reader.room -= 1;
      return reader.room > 0;
    });
    const reader: Reader = { session, after, versions, room, closed: false, ...subscription };
    this.readers.push(reader);
  }

  #change(current: { kind: 'resume'; reader: number; room: number } | { kind: 'close'; reader: number }): void {
    const reader = this.readers[current.reader % this.readers.length];
    if (reader === undefined || reader.closed) return;
    if (current.kind === 'close') {
      reader.closed = true;
      reader.close();
    } else if (reader.room === 0) {
      reader.room = current.room;
      reader.resume();
    }
  }
}

test('every reader gets what followed its position, each event once and in order, as far as it has room', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.array(step, { maxLength: 10 }), async (steps, during) => {
      const world = new World();
      const upcoming = [...during];
      await world.feed.start();
      world.history.meanwhile = () => {
        const next = upcoming.shift();
        if (next !== undefined && next.kind !== 'settle' && next.kind !== 'look') void world.take(next);
      };
      for (const current of steps) await world.take(current);
      // Then everything heals: what was still to happen in the middle of a query does not happen any more.
      world.history.meanwhile = () => undefined;
      world.history.failure = null;
      await vi.advanceTimersByTimeAsync(3_000);
      for (const { session, after, versions, room, closed } of world.readers) {
        const expected = Array.from(
          { length: Math.max(0, (world.counts[session] ?? 0) - after) },
          (_, n) => after + 1 + n,
        );
        expect(versions).toEqual(expected.slice(0, versions.length));
        if (!closed && room > 0) expect(versions).toEqual(expected);
      }
      await world.feed.stop();
    }),
    { numRuns: 300 },
  );
});
