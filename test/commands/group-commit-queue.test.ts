import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { confirmStage, updateSession } from '../genesis/given.ts';
import { aRig, holdAt, LIMITS, overloaded, rigWith, settle, states, times } from './group-commit-rig.ts';
import { accepted, create, send } from './requests.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});

afterEach(() => {
  vi.useRealTimers();
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
    // Its alarm is set by now, and the other one's time is over before it.
    await settle();
    const old = rig.execute({ ...create(), waited: 500 });
    await vi.advanceTimersByTimeAsync(LIMITS.queueTimeout - 501);
    expect(states([young, old])).toEqual(['waits', 'waits']);
    await vi.advanceTimersByTimeAsync(1);
    expect(states([young, old])).toEqual(['waits', 'failed']);
    expect(old.error).toEqual(overloaded);
  });

  it('is in the order in which its commands expire', async () => {
    const rig = await aRig({ transactionsMax: 1, batchMax: 1 });
    const gate = holdAt(rig, 'commit');
    rig.execute(create());
    const order: number[] = [];
    for (const waited of [900, 100, 500]) rig.execute({ ...create(), waited }, () => order.push(waited));
    for (const number of [1, 2, 3, 4]) {
      gate(number).open();
      await settle();
    }
    expect(order).toEqual([900, 500, 100]);
  });

  it('tells of the room that a deferred command leaves behind whose time is over when it is to come back', async () => {
    const { rig, a } = await rigWith({ queueMax: 1 }, 1);
    await vi.advanceTimersByTimeAsync(LIMITS.queueTimeout);
    rig.store.hold(a);
    const waiting = rig.execute({ ...send(updateSession(), a), waited: LIMITS.queueTimeout - 2 });
    await settle();
    const told: number[] = [];
    rig.commands.whenRoom(() => told.push(rig.commands.room));
    // No alarm is set for it: it is looked at after 3 to 20 ms.
    await vi.advanceTimersByTimeAsync(20);
    expect(waiting.state).toBe('failed');
    expect(told).toEqual([1]);
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
