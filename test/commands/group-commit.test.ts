import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { abandonSession, requestConcepts, updateSession } from '../genesis/given.ts';
import { aRig, holdAt, LIMITS, overloaded, rigWith, settle, states, times } from './group-commit-rig.ts';
import { accepted, BOB, create, key, NO_SUCH_SESSION, NOT_FOUND, replay, send } from './requests.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});

afterEach(() => {
  vi.useRealTimers();
});

describe('an answer', () => {
  it.each(['lock', 'readInbox', 'write', 'commit', 'committed'] as const)(
    'to no command of a batch leaves while it is held at its %s',
    async (moment) => {
      const { rig, a, b } = await rigWith({ transactionsMax: 1 }, 2);
      const first = rig.execute(send(updateSession(), a, key('k')));
      await settle();
      const { begun, committed } = rig.store;
      const gate = holdAt(rig, moment);
      const ahead = rig.execute(create());
      const update = send(updateSession(), b);
      const batch = [
        update,
        send(updateSession(), NO_SUCH_SESSION),
        send(updateSession(), a, key('k')),
        send(updateSession(), a, { actor: BOB }),
      ].map((request) => rig.execute(request));
      gate(begun + 1).open();
      await settle();
      expect(rig.store.begun).toBe(begun + 2);
      expect(states([ahead, ...batch])).toEqual(['answered', 'waits', 'waits', 'waits', 'waits']);
      gate(begun + 2).open();
      await settle();
      const answers = [accepted(update, 2), NOT_FOUND, replay(first.outcome ?? undefined), NOT_FOUND];
      expect(batch.map(({ outcome }) => outcome)).toStrictEqual(answers);
      expect(rig.store.committed).toBe(committed + 2);
    },
  );
});

describe('a transaction', () => {
  it('begins at once for a lone command', async () => {
    const rig = await aRig();
    rig.execute(create());
    expect(rig.store.begun).toBe(1);
  });

  it('is shared by the commands that waited at the same time', async () => {
    const { rig, before } = await rigWith({ transactionsMax: 1 }, 1);
    const gate = holdAt(rig, 'commit');
    const first = rig.execute(create());
    const others = times(5, create).map((request) => rig.execute(request));
    await settle();
    expect(rig.store.begun).toBe(before.begun + 1);
    gate(before.begun + 1).open();
    gate(before.begun + 2).open();
    await settle();
    expect(states([first, ...others])).toEqual(times(6, create).map(() => 'answered'));
    expect(rig.store.begun).toBe(before.begun + 2);
  });

  it('takes no more commands than it may, in the order they came', async () => {
    const rig = await aRig({ transactionsMax: 1, batchMax: 2 });
    const gate = holdAt(rig, 'commit');
    const observed = times(5, create).map((request) => rig.execute(request));
    const answered: number[] = [];
    for (const number of [1, 2, 3]) {
      gate(number).open();
      await settle();
      answered.push(states(observed).filter((state) => state === 'answered').length);
      expect(states(observed).lastIndexOf('answered')).toBe((answered.at(-1) ?? 0) - 1);
    }
    expect(answered).toEqual([1, 3, 5]);
  });

  it('is one of no more than there may be', async () => {
    const rig = await aRig({ transactionsMax: 3, batchMax: 1 });
    const gate = holdAt(rig, 'commit');
    for (const request of times(9, create)) rig.execute(request);
    await settle();
    expect(rig.store.begun).toBe(3);
    gate(2).open();
    await settle();
    expect(rig.store.begun).toBe(4);
  });

  it('is begun beside another for as many commands as that one holds; fewer go with the next, or a little later', async () => {
    const { rig, before } = await rigWith({ transactionsMax: 2 }, 1);
    const gate = holdAt(rig, 'commit');
    const begun = () => rig.store.begun - before.begun;
    rig.execute(create());
    for (const request of times(3, create)) rig.execute(request);
    await settle();
    gate(before.begun + 1).open();
    await settle();
    expect(begun()).toBe(2);
    const few = times(2, create).map((request) => rig.execute(request));
    await settle();
    expect(begun()).toBe(2);
    await vi.advanceTimersByTimeAsync(2);
    expect(begun()).toBe(3);
    gate(before.begun + 2).open();
    gate(before.begun + 3).open();
    await settle();
    expect(states(few)).toEqual(['answered', 'answered']);
  });

  it('takes, under load, all that came in one turn of the event loop', async () => {
    const { rig, before } = await rigWith({ transactionsMax: 2 }, 1);
    const gate = holdAt(rig, 'commit');
    rig.execute(create());
    const others = times(5, create).map((request) => rig.execute(request));
    await settle();
    gate(before.begun + 2).open();
    await settle();
    expect(states(others)).toEqual(times(5, () => create()).map(() => 'answered'));
    expect(rig.store.begun).toBe(before.begun + 2);
  });

  it('is the only one of a session; others pass it', async () => {
    const { rig, a, b, before } = await rigWith({}, 2);
    const gate = holdAt(rig, 'commit');
    const first = rig.execute(send(updateSession(), a));
    const second = rig.execute(send(updateSession(), a));
    const other = rig.execute(send(updateSession(), b));
    gate(before.begun + 2).open();
    await settle();
    expect(states([first, second, other])).toEqual(['waits', 'waits', 'answered']);
    gate(before.begun + 1).open();
    gate(before.begun + 3).open();
    await settle();
    expect([first.outcome, second.outcome]).toStrictEqual([accepted(first.request, 2), accepted(second.request, 3)]);
    expect(rig.store.begun).toBe(before.begun + 3);
  });

  it('gets its time limit', async () => {
    const { rig } = await rigWith({}, 1);
    expect(rig.store.timeLimits).toEqual([LIMITS.transactionTimeout]);
  });
});

describe('a deferred command', () => {
  it('is tried again until its session is let go', async () => {
    const { rig, a, b } = await rigWith({}, 2);
    const letGo = rig.store.hold(a);
    const waiting = rig.execute(send(updateSession(), a));
    const other = rig.execute(send(updateSession(), b));
    await vi.advanceTimersByTimeAsync(LIMITS.queueTimeout / 2);
    expect(states([waiting, other])).toEqual(['waits', 'answered']);
    letGo();
    await vi.advanceTimersByTimeAsync(20);
    expect(waiting.outcome).toStrictEqual(accepted(waiting.request, 2));
  });

  it('is refused with OVERLOADED when its time is over, and nothing was written', async () => {
    const { rig, a } = await rigWith({}, 1);
    rig.store.hold(a);
    const waiting = rig.execute(send(updateSession(), a));
    await vi.advanceTimersByTimeAsync(LIMITS.queueTimeout - 1);
    expect(waiting.state).toBe('waits');
    await vi.advanceTimersByTimeAsync(21);
    expect(waiting.error).toEqual(overloaded);
    expect(rig.store.tables.eventsOf(a)).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([
    [0, 3],
    [1, 20],
  ])('is tried again after 3 to 20 ms, by chance (%d: %d ms)', async (random, pause) => {
    const { rig, a, before } = await rigWith({}, 1);
    vi.spyOn(Math, 'random').mockReturnValue(random);
    rig.store.hold(a);
    rig.execute(send(updateSession(), a));
    await vi.advanceTimersByTimeAsync(pause - 1);
    expect(rig.store.begun).toBe(before.begun + 1);
    await vi.advanceTimersByTimeAsync(1);
    expect(rig.store.begun).toBe(before.begun + 2);
  });

  it('that would touch a row twice goes into the next transaction', async () => {
    const { rig, a, before } = await rigWith({ transactionsMax: 1 }, 1);
    const gate = holdAt(rig, 'commit');
    rig.execute(create());
    const request = rig.execute(send(requestConcepts(), a));
    const abandon = rig.execute(send(abandonSession(), a));
    for (const number of [1, 2, 3]) gate(before.begun + number).open();
    await settle();
    expect(request.outcome).toStrictEqual(accepted(request.request, 2, 'PROCESSING'));
    expect(abandon.state).toBe('waits');
    await vi.advanceTimersByTimeAsync(20);
    expect(abandon.outcome).toStrictEqual(accepted(abandon.request, 4));
    expect(rig.store.begun).toBe(before.begun + 3);
  });
});

describe('whoever waits for commits', () => {
  it('is told once of each transaction that wrote', async () => {
    const { rig, a, b, before } = await rigWith({ transactionsMax: 1 }, 2);
    const gate = holdAt(rig, 'commit');
    rig.execute(create());
    for (const request of [
      send(updateSession(), a),
      send(updateSession(), b),
      send(updateSession(), NO_SUCH_SESSION),
    ]) {
      rig.execute(request);
    }
    await settle();
    expect(rig.hints()).toBe(before.hints);
    gate(before.begun + 1).open();
    await settle();
    expect(rig.hints()).toBe(before.hints + 1);
    gate(before.begun + 2).open();
    await settle();
    expect(rig.hints()).toBe(before.hints + 2);
  });

  it('is not told of refusals, replays and deferrals', async () => {
    const { rig, a, b } = await rigWith({}, 2);
    rig.execute(send(updateSession(), a, key('k')));
    await settle();
    rig.store.hold(b);
    const hints = rig.hints();
    for (const request of [
      send(updateSession(), NO_SUCH_SESSION),
      send(updateSession(), a, key('k')),
      send(updateSession(), b),
    ]) {
      rig.execute(request);
    }
    await vi.advanceTimersByTimeAsync(LIMITS.queueTimeout + 20);
    expect(rig.hints()).toBe(hints);
  });
});
