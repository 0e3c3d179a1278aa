import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { GroupCommitSettings } from '../../src/commands/group-commit.ts';
import type { CommandRequest } from '../../src/commands/ports.ts';
import { abandonSession, confirmStage, requestConcepts, updateSession } from '../genesis/given.ts';
import { aGate, aRig, LIMITS, settle, type Gate, type Observed, type Rig } from './group-commit-rig.ts';
import type { Moment } from './memory-store.ts';
import { accepted, BOB, create, key, NO_SUCH_SESSION, NOT_FOUND, replay, send } from './requests.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** Holds every transaction at `moment`, until its gate is opened. */
function holdAt(rig: Rig, moment: Moment): (number: number) => Gate {
  const gates = new Map<number, Gate>();
  const gate = (number: number) => {
    const found = gates.get(number) ?? aGate();
    gates.set(number, found);
    return found;
  };
  rig.store.interfere = (at, number) => (at === moment ? gate(number).passed : undefined);
  return gate;
}

async function rigWith(limits: Partial<Omit<GroupCommitSettings, 'newId'>>, sessions: number) {
  const rig = await aRig(limits);
  const creations = Array.from({ length: sessions }, () => rig.execute(create()));
  await settle();
  const [a, b, c] = creations.map(({ request }) => request.sessionId);
  const before = { begun: rig.store.begun, hints: rig.hints() };
  return { rig, a: a ?? NO_SUCH_SESSION, b: b ?? NO_SUCH_SESSION, c: c ?? NO_SUCH_SESSION, before };
}

const states = (observed: readonly Observed[]) => observed.map(({ state }) => state);
const overloaded = expect.objectContaining({ name: 'GenesisError', code: 'OVERLOADED' }) as unknown;
const times = (count: number, request: () => CommandRequest) => Array.from({ length: count }, request);

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

describe('the queue', () => {
  it('refuses one more with OVERLOADED at once when it is full, and has room again later', async () => {
    const rig = await aRig({ transactionsMax: 1, queueMax: 2 });
    const gate = holdAt(rig, 'commit');
    const observed = times(4, create).map((request) => rig.execute(request));
    await settle();
    expect(states(observed)).toEqual(['waits', 'waits', 'waits', 'failed']);
    expect(observed[3]?.error).toEqual(overloaded);
    for (const number of [1, 2, 3]) gate(number).open();
    await settle();
    const later = rig.execute(create());
    await settle();
    expect(states([...observed.slice(0, 3), later])).toEqual(['answered', 'answered', 'answered', 'answered']);
  });

  it('tells how much room it has, and when there is more', async () => {
    const rig = await aRig({ transactionsMax: 1, queueMax: 2 });
    const told: number[] = [];
    rig.commands.whenRoom(() => told.push(rig.commands.room));
    const gate = holdAt(rig, 'commit');
    times(3, create).map((request) => rig.execute(request));
    await settle();
    expect(rig.commands.room).toBe(0);
    gate(1).open();
    await settle();
    expect([rig.commands.room, told.at(-1)]).toEqual([2, 2]);
    rig.execute(create());
    await vi.advanceTimersByTimeAsync(LIMITS.queueTimeout - 1);
    expect(rig.commands.room).toBe(1);
    told.length = 0;
    await vi.advanceTimersByTimeAsync(1);
    expect(told).toEqual([2]);
  });

  it('counts what a command has waited elsewhere', async () => {
    const rig = await aRig({ transactionsMax: 1 });
    holdAt(rig, 'commit');
    rig.execute(create());
    const young = rig.execute(create());
    const old = rig.execute({ ...create(), waited: 500 });
    await vi.advanceTimersByTimeAsync(LIMITS.queueTimeout - 501);
    expect(states([young, old])).toEqual(['waits', 'waits']);
    await vi.advanceTimersByTimeAsync(1);
    expect(states([young, old])).toEqual(['waits', 'failed']);
    expect(old.error).toEqual(overloaded);
  });

  it('tells of the room that a deferred command leaves behind whose time is over', async () => {
    const { rig, a } = await rigWith({ queueMax: 1 }, 1);
    await vi.advanceTimersByTimeAsync(LIMITS.queueTimeout);
    rig.store.hold(a);
    const waiting = rig.execute(send(updateSession(), a));
    await settle();
    const told: number[] = [];
    rig.commands.whenRoom(() => told.push(rig.commands.room));
    await vi.advanceTimersByTimeAsync(LIMITS.queueTimeout + 20);
    expect(waiting.state).toBe('failed');
    expect(told.at(-1)).toBe(1);
  });

  it('counts deferred commands', async () => {
    const { rig, a } = await rigWith({ queueMax: 1 }, 1);
    rig.store.hold(a);
    rig.execute(send(updateSession(), a));
    await settle();
    const more = rig.execute(create());
    await settle();
    expect(more.error).toEqual(overloaded);
  });

  it('refuses with OVERLOADED what waited its time for a transaction, each at its own time', async () => {
    const rig = await aRig({ transactionsMax: 1 });
    holdAt(rig, 'commit');
    const running = rig.execute(create());
    const first = rig.execute(create());
    await vi.advanceTimersByTimeAsync(500);
    const second = rig.execute(create());
    await vi.advanceTimersByTimeAsync(LIMITS.queueTimeout - 501);
    expect(states([running, first, second])).toEqual(['waits', 'waits', 'waits']);
    await vi.advanceTimersByTimeAsync(1);
    expect(states([running, first, second])).toEqual(['waits', 'failed', 'waits']);
    await vi.advanceTimersByTimeAsync(500);
    expect(states([running, first, second])).toEqual(['waits', 'failed', 'failed']);
    expect([first.error, second.error]).toEqual([overloaded, overloaded]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('refuses in time a deferred command that comes back before those whose alarm is set', async () => {
    const { rig, a, b, before } = await rigWith({ transactionsMax: 1 }, 2);
    // No alarm is left from the commands so far.
    await vi.advanceTimersByTimeAsync(LIMITS.queueTimeout);
    rig.store.hold(a);
    const gate = holdAt(rig, 'commit');
    const deferred = rig.execute(send(updateSession(), a));
    await vi.advanceTimersByTimeAsync(1_000);
    const [running, later] = [rig.execute(send(updateSession(), b)), rig.execute(create())];
    gate(before.begun + 1).open();
    await vi.advanceTimersByTimeAsync(LIMITS.queueTimeout - 1_000);
    expect(states([deferred, running, later])).toEqual(['failed', 'waits', 'waits']);
    expect(deferred.error).toEqual(overloaded);
  });

  it('does not let a command pass that came for the same session before', async () => {
    const { rig, a, before } = await rigWith({ batchMax: 1, transactionsMax: 2 }, 1);
    const gate = holdAt(rig, 'commit');
    const all = [confirmStage('CONCEPT_SELECTION'), confirmStage('STORY_CONCEPTION'), confirmStage('WORLDVIEW')].map(
      (command) => rig.execute(send(command, a)),
    );
    for (const number of [1, 2, 3]) gate(before.begun + number).open();
    await settle();
    expect(all.map(({ outcome }) => outcome)).toStrictEqual(
      all.map(({ request }, index) => accepted(request, index + 2)),
    );
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
