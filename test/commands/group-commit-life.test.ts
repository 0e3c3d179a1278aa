import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { GroupCommit } from '../../src/commands/group-commit.ts';
import { updateSession } from '../genesis/given.ts';
import { aGate, aRig, LIMITS, settle } from './group-commit-rig.ts';
import { MemoryStore } from './memory-store.ts';
import { accepted, batchSettings, create, send } from './requests.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});

afterEach(() => {
  vi.useRealTimers();
});

const unavailable = expect.objectContaining({ name: 'GenesisError', code: 'UNAVAILABLE' }) as unknown;

describe('before its start', () => {
  it('no command is taken', async () => {
    const store = new MemoryStore();
    const commands = new GroupCommit(
      store,
      { ...batchSettings(), ...LIMITS },
      pino({ enabled: false }),
      () => undefined,
    );
    await expect(commands.execute(create())).rejects.toEqual(unavailable);
    expect(store.begun).toBe(0);
  });
});

describe('a stop', () => {
  it('refuses what waits, answers what runs, and ends when that is done', async () => {
    const rig = await aRig({ transactionsMax: 1 });
    const gate = aGate();
    rig.store.interfere = (moment) => (moment === 'commit' ? gate.passed : undefined);
    const [running, waiting] = [rig.execute(create()), rig.execute(create())];
    let stopped = false;
    const stop = rig.commands.stop().then(() => {
      stopped = true;
    });
    await settle();
    expect([running.state, waiting.state, stopped]).toEqual(['waits', 'failed', false]);
    expect(waiting.error).toEqual(unavailable);
    gate.open();
    await stop;
    expect(running.state).toBe('answered');
    expect(rig.store.begun).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('refuses what was deferred, then and afterwards', async () => {
    const rig = await aRig();
    const [first, second] = [rig.execute(create()), rig.execute(create())];
    await settle();
    rig.store.hold(first.request.sessionId);
    const deferred = rig.execute(send(updateSession(), first.request.sessionId));
    await settle();
    const gate = aGate();
    rig.store.interfere = (moment) => (moment === 'commit' ? gate.passed : undefined);
    rig.store.hold(second.request.sessionId);
    const running = rig.execute(send(updateSession(), second.request.sessionId));
    const stop = rig.commands.stop();
    await settle();
    expect([deferred.error, running.state]).toEqual([unavailable, 'waits']);
    gate.open();
    await stop;
    expect(running.error).toEqual(unavailable);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('takes no command any more', async () => {
    const rig = await aRig();
    await rig.commands.stop();
    await expect(rig.commands.execute(create())).rejects.toEqual(unavailable);
    expect(rig.store.begun).toBe(0);
  });

  it('may come twice, and before the start', async () => {
    const store = new MemoryStore();
    const commands = new GroupCommit(
      store,
      { ...batchSettings(), ...LIMITS },
      pino({ enabled: false }),
      () => undefined,
    );
    await commands.stop();
    await commands.start();
    await Promise.all([commands.stop(), commands.stop()]);
    await commands.start();
    await expect(commands.execute(create())).resolves.toMatchObject({ kind: 'accepted' });
  });

  it('lets a batch that failed be decided to its end', async () => {
    const rig = await aRig({ transactionsMax: 1 });
    const creations = [rig.execute(create()), rig.execute(create())];
    await settle();
    const { begun } = rig.store;
    const gate = aGate();
    rig.store.interfere = (moment, number) => {
      if (moment === 'write' && number === begun + 2) throw new Error('a defect');
      return moment === 'write' && number === begun + 3 ? gate.passed : undefined;
    };
    rig.execute(create());
    const observed = creations.map(({ request }) => rig.execute(send(updateSession(), request.sessionId)));
    await settle();
    const stop = rig.commands.stop();
    gate.open();
    await stop;
    expect(observed.map(({ outcome }) => outcome)).toStrictEqual(observed.map(({ request }) => accepted(request, 2)));
  });
});

describe('the service', () => {
  it('names itself', async () => {
    expect((await aRig()).commands.name).toBe('commands');
  });
});
