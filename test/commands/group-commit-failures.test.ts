import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TransactionConflict, type CommandStore } from '../../src/commands/ports.ts';
import { GenesisError } from '../../src/errors.ts';
import { confirmStage, updateSession } from '../genesis/given.ts';
import { aGate, aRig, LIMITS, settle, type Rig } from './group-commit-rig.ts';
import type { Moment } from './memory-store.ts';
import { accepted, create, NOT_FOUND, NO_SUCH_SESSION, send } from './requests.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** A command whose events no topic would take: the schemas let none such pass, so it stands for any defect. */
const defective = confirmStage('CONCEPT_SELECTION', { large: 'x'.repeat(1_000_000) });

/** Two sessions, and transactions one at a time: what is sent after the first command shares the next one. */
async function aRigWithTwoSessions(limits: Parameters<typeof aRig>[0] = {}, options: Parameters<typeof aRig>[1] = {}) {
  const rig = await aRig({ transactionsMax: 1, ...limits }, options);
  const [first, second] = [rig.execute(create()), rig.execute(create())];
  await settle();
  return { rig, a: first.request.sessionId, b: second.request.sessionId, begun: rig.store.begun, hints: rig.hints() };
}

/** Fails the transactions with these numbers at `moment`. */
function failAt(rig: Rig, moment: Moment, numbers: readonly number[], error: Error): void {
  rig.store.interfere = (at, number) => {
    if (at === moment && numbers.includes(number)) throw error;
  };
}

const overloaded = expect.objectContaining({ name: 'GenesisError', code: 'OVERLOADED' }) as unknown;

describe('a batch with a defective command', () => {
  it('is decided again one by one: the others are answered, the defective one is told alone', async () => {
    const { rig, a, b, begun, hints } = await aRigWithTwoSessions();
    rig.execute(create());
    const bad = rig.execute(send(defective, a));
    const good = [send(updateSession(), a), send(updateSession(), b)].map((request) => rig.execute(request));
    const refused = rig.execute(send(updateSession(), NO_SUCH_SESSION));
    await settle();
    expect(bad.state).toBe('failed');
    expect(String(bad.error)).toContain('at most');
    expect(good.map(({ outcome }) => outcome)).toStrictEqual(good.map(({ request }) => accepted(request, 2)));
    expect(refused.outcome).toStrictEqual(NOT_FOUND);
    expect(rig.store.begun).toBe(begun + 6);
    expect(rig.hints()).toBe(hints + 3);
  });

  it('is told of in the log, once', async () => {
    const { rig, a, b } = await aRigWithTwoSessions();
    rig.execute(create());
    for (const request of [send(defective, a), send(updateSession(), b)]) rig.execute(request);
    await settle();
    expect(rig.log.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { level: 50, commands: 2, msg: 'a batch failed; its commands are decided again, one by one' },
    ]);
  });

  it('does not keep its commands past their time', async () => {
    const { rig, a, b, begun } = await aRigWithTwoSessions();
    rig.execute(create());
    const observed = [send(defective, a), send(updateSession(), a), send(updateSession(), b)].map((request) =>
      rig.execute(request),
    );
    const gate = aGate();
    rig.store.interfere = (moment, number) => (moment === 'commit' && number === begun + 4 ? gate.passed : undefined);
    await vi.advanceTimersByTimeAsync(LIMITS.queueTimeout);
    expect(observed.map(({ state }) => state)).toEqual(['failed', 'waits', 'waits']);
    gate.open();
    await settle();
    expect(observed[1]?.state).toBe('answered');
    expect(observed[2]?.error).toEqual(overloaded);
    expect(rig.store.begun).toBe(begun + 4);
  });
});

describe('a lone command', () => {
  it('that is defective is told so, and not tried again', async () => {
    const { rig, a, begun } = await aRigWithTwoSessions();
    const bad = rig.execute(send(defective, a));
    await settle();
    expect(bad.state).toBe('failed');
    expect(rig.store.begun).toBe(begun + 1);
    expect(rig.log).toEqual([]);
  });

  it('of the same session is decided after one that failed', async () => {
    const { rig, a } = await aRigWithTwoSessions();
    rig.execute(send(defective, a));
    const next = rig.execute(send(updateSession(), a));
    await settle();
    expect(next.outcome).toStrictEqual(accepted(next.request, 2));
  });
});

describe('a conflict with another transaction', () => {
  it.each(['lock', 'write', 'commit'] as const)('at the %s is tried again', async (moment) => {
    const { rig, a, b, begun } = await aRigWithTwoSessions();
    failAt(rig, moment, [begun + 1, begun + 2], new TransactionConflict('deadlock'));
    const observed = [rig.execute(send(updateSession(), a)), rig.execute(send(updateSession(), b))];
    await vi.advanceTimersByTimeAsync(100);
    expect(observed.map(({ outcome }) => outcome)).toStrictEqual(observed.map(({ request }) => accepted(request, 2)));
  });

  it('that never ends is told as OVERLOADED when the time is over', async () => {
    const { rig, a } = await aRigWithTwoSessions();
    rig.store.interfere = () => {
      throw new TransactionConflict('deadlock');
    };
    const observed = rig.execute(send(updateSession(), a));
    await vi.advanceTimersByTimeAsync(LIMITS.queueTimeout + 20);
    expect(observed.error).toEqual(overloaded);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a database that is away', () => {
  it.each(['begin', 'lock', 'commit'] as const)('at the %s is told to every command of the batch', async (moment) => {
    const { rig, a, b, begun } = await aRigWithTwoSessions();
    const away = new GenesisError('UNAVAILABLE', 'The database is away.');
    failAt(rig, moment, [begun + 2], away);
    rig.execute(create());
    const observed = [send(updateSession(), a), send(updateSession(), b), send(updateSession(), NO_SUCH_SESSION)].map(
      (request) => rig.execute(request),
    );
    await settle();
    for (const { error } of observed) expect(error).toBe(away);
    expect(rig.store.begun).toBe(begun + 2);
    expect(rig.store.tables.events).toHaveLength(3);
  });

  it('does not trouble those that come after', async () => {
    const { rig, a, begun } = await aRigWithTwoSessions();
    failAt(rig, 'begin', [begun + 1], new GenesisError('UNAVAILABLE', 'The database is away.'));
    rig.execute(send(updateSession(), a));
    const next = rig.execute(send(updateSession(), a));
    await settle();
    expect(next.outcome).toStrictEqual(accepted(next.request, 2));
  });
});

describe('an unknown outcome', () => {
  it('tells each command of the batch where to look for it', async () => {
    const { rig, a, b, begun } = await aRigWithTwoSessions();
    const lost = new GenesisError('OUTCOME_UNKNOWN', 'The answer was lost.');
    failAt(rig, 'committed', [begun + 2], lost);
    rig.execute(create());
    const observed = [send(updateSession(), a), send(updateSession(), b)].map((request) => rig.execute(request));
    await settle();
    for (const { request, error } of observed) {
      expect(error).toMatchObject({
        code: 'OUTCOME_UNKNOWN',
        message: 'The answer was lost.',
        details: { command_id: request.commandId, session_id: request.sessionId },
        cause: lost,
      });
    }
    expect(rig.store.begun).toBe(begun + 2);
  });
});

describe('what has committed is not decided again', () => {
  it('when nobody can be told of it', async () => {
    const onCommit = () => {
      throw new Error('nobody listens');
    };
    const { rig, a, b } = await aRigWithTwoSessions({}, { onCommit });
    rig.execute(create());
    const observed = [send(updateSession(), a), send(updateSession(), b)].map((request) => rig.execute(request));
    await settle();
    expect(observed.map(({ outcome }) => outcome)).toStrictEqual(observed.map(({ request }) => accepted(request, 2)));
    expect(rig.store.tables.eventsOf(a)).toHaveLength(2);
    expect(JSON.parse(rig.log.at(-1) ?? '')).toMatchObject({ level: 50, msg: 'the wake-up after a commit failed' });
  });

  it('when the store forgets an outcome', async () => {
    const forgetful: CommandStore = {
      transaction: <Result>() =>
        Promise.resolve([{ kind: 'refused', refusal: { code: 'SESSION_NOT_FOUND' } }] as Result),
    };
    const rig = await aRig({ transactionsMax: 1 }, { over: () => forgetful });
    rig.execute(create());
    const [told, forgotten] = [rig.execute(create()), rig.execute(create())];
    await settle();
    expect(told.outcome).toStrictEqual(NOT_FOUND);
    expect(String(forgotten.error)).toContain('one outcome per command');
  });
});
