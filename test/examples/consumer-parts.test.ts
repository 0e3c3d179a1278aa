import { describe, expect, it } from 'vitest';
import { backoffDelay } from '../../examples/concept-agent/backoff.ts';
import { readEvent, type SessionEvent } from '../../examples/concept-agent/read-record.ts';
import { SeenEvents } from '../../examples/concept-agent/seen-events.ts';
import { readSettings } from '../../examples/concept-agent/settings.ts';
import { Slots } from '../../examples/concept-agent/slots.ts';
import { StreamCheck } from '../../examples/concept-agent/stream-check.ts';
import { aRecord } from './a-record.ts';

describe('events that were seen', () => {
  const worker = () => {
    const worked: string[] = [];
    const seen = new SeenEvents(3);
    const once = (id: string) =>
      seen.once(id, async () => {
        worked.push(id);
      });
    return { worked, seen, once };
  };

  it('are not worked on again', async () => {
    const { worked, once } = worker();
    await once('a');
    await once('a');
    expect(worked).toEqual(['a']);
  });

  it('are waited for while somebody works on them', async () => {
    const seen = new SeenEvents(3);
    const { promise, resolve } = Promise.withResolvers<void>();
    const first = seen.once('a', () => promise);
    let second = 'waits';
    const repeated = seen.once('a', () => Promise.reject(new Error('worked on twice'))).then(() => (second = 'done'));
    await Promise.resolve();
    expect(second).toBe('waits');
    resolve();
    await Promise.all([first, repeated]);
  });

  it('are worked on again when the work failed', async () => {
    const { worked, seen, once } = worker();
    await expect(seen.once('a', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await once('a');
    expect(worked).toEqual(['a']);
  });

  it('are forgotten, the oldest first, when they become too many', async () => {
    const { worked, once } = worker();
    for (const id of ['a', 'b', 'c', 'd', 'b', 'a']) await once(id);
    expect(worked).toEqual(['a', 'b', 'c', 'd', 'a']);
  });
});

describe('the stream of a session', () => {
  const event = (sessionId: string, sequence: number, previous: number | null = sequence - 1): SessionEvent => ({
    ...readEvent(aRecord()),
    sessionId,
    sequence,
    eventId: `${sessionId}-${sequence}`,
    previous: previous === null || previous === 0 ? null : `${sessionId}-${previous}`,
  });
  const kinds = (events: readonly SessionEvent[], most = 10) => {
    const check = new StreamCheck(most);
    return events.map((one) => check.place(one).kind);
  };

  it('is complete when each event names the one before', () => {
    expect(kinds([event('s', 1), event('r', 1), event('s', 2), event('s', 3), event('r', 2)])).toEqual(
      Array.from({ length: 5 }, () => 'next'),
    );
  });

  it('is believed where reading begins in its middle', () => {
    expect(kinds([event('s', 7), event('s', 8)])).toEqual(['next', 'next']);
  });

  it('tells repetitions, one or a whole stretch', () => {
    expect(kinds([event('s', 1), event('s', 2), event('s', 1), event('s', 2), event('s', 3)])).toEqual([
      'next',
      'next',
      'repeated',
      'repeated',
      'next',
    ]);
  });

  it('tells a gap and what is missing', () => {
    const check = new StreamCheck(10);
    check.place(event('s', 1));
    expect(check.place(event('s', 3))).toEqual({ kind: 'gap', after: 1, sequence: 3 });
    expect(check.place(event('s', 4))).toEqual({ kind: 'next' });
  });

  it('tells an event whose predecessor is another one', () => {
    expect(kinds([event('s', 1), event('s', 2, null)])).toEqual(['next', 'gap']);
  });

  it('forgets sessions that were not heard of for long', () => {
    expect(
      kinds([event('a', 1), event('b', 1), event('a', 2), event('c', 1), event('b', 5), event('a', 9)], 2),
    ).toEqual(['next', 'next', 'next', 'next', 'next', 'next']);
  });
});

describe('slots', () => {
  const never = new AbortController().signal;

  it('let as many in as there are, and the next one when one is given back', async () => {
    const slots = new Slots(2);
    await slots.take(never);
    await slots.take(never);
    let third = false;
    let fourth = false;
    const takingThird = slots.take(never).then(() => (third = true));
    const takingFourth = slots.take(never).then(() => (fourth = true));
    await Promise.resolve();
    expect([third, fourth]).toEqual([false, false]);
    slots.give();
    await Promise.race([takingThird, takingFourth]);
    expect([third, fourth]).toEqual([true, false]);
    slots.give();
    await Promise.all([takingThird, takingFourth]);
  });

  it('stop waiting when the signal aborts', async () => {
    const slots = new Slots(1);
    await slots.take(never);
    const stop = new AbortController();
    const taking = slots.take(stop.signal);
    stop.abort('stop');
    await expect(taking).rejects.toThrow();
    await expect(slots.take(stop.signal)).rejects.toBe('stop');
  });

  it('can be waited for until all are free', async () => {
    const slots = new Slots(2);
    await slots.take(never);
    await slots.take(never);
    let free = false;
    const waiting = slots.allFree(10_000).then(() => (free = true));
    slots.give();
    await Promise.resolve();
    expect(free).toBe(false);
    slots.give();
    await waiting;
  });

  it('are not waited for longer than said', async () => {
    const slots = new Slots(1);
    await slots.take(never);
    await slots.allFree(5);
  });
});

describe('pauses between tries', () => {
  it('double up to the longest, half of each by chance', () => {
    const pauses = (random: number) =>
      [1, 2, 3, 4, 50].map((attempt) => backoffDelay(attempt, { first: 100, most: 800 }, () => random));
    expect(pauses(0)).toEqual([50, 100, 200, 400, 400]);
    expect(pauses(1)).toEqual([100, 200, 400, 800, 800]);
  });
});

describe('the environment', () => {
  const env = { GENESIS_API: 'http://127.0.0.1:8080/', AGENT_TOKEN: 'token', KAFKA_BROKERS: 'a:1,b:2' };

  it('has defaults for all but API, token and brokers', () => {
    expect(readSettings(env)).toEqual({
      api: 'http://127.0.0.1:8080',
      token: 'token',
      brokers: ['a:1', 'b:2'],
      topic: 'domain-events',
      group: 'concept-agent',
      delay: 5_000,
      concurrency: 32,
      commitInterval: 500,
    });
  });

  it.each([
    ['GENESIS_API', ''],
    ['GENESIS_API', 'localhost'],
    ['AGENT_TOKEN', undefined],
    ['KAFKA_BROKERS', undefined],
    ['AGENT_DELAY', 'soon'],
    ['AGENT_DELAY', '-1'],
    ['AGENT_CONCURRENCY', '0'],
  ])('is refused by name: %s=%s', (name, value) => {
    expect(() => readSettings({ ...env, [name]: value })).toThrow(name);
  });
});
