import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { GenesisError } from '../../src/errors.ts';
import { anyScenario, play, type Run } from './simulation.ts';
import { expectOneSerialOrder, expectSoundTables, expectTrueAnswers } from './simulation-checks.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** Checks what holds for whatever is sent by whomever, however transactions overlap and fail. */
function always(holds: (run: Run) => void, parameters: fc.Parameters<unknown> = {}): Promise<void> {
  return fc.assert(
    fc.asyncProperty(anyScenario, async (scenario) => holds(await play(scenario))),
    // A busy machine plays fewer.
    { numRuns: 150, plugins: [fc.interruptAfterTimeLimit(15_000)], ...parameters },
  );
}

describe('whatever is sent, and however transactions overlap and fail', () => {
  it('the tables are sound: versions without a gap, sessions equal to their fold, the outbox in order', () =>
    always(({ rig }) => expectSoundTables(rig.store.tables)));

  it('the accepted commands stand in one serial order', () =>
    always(({ rig }) => expectOneSerialOrder(rig.store.tables)));

  it('everybody is told once, after COMMIT, what was true in between', () => always(expectTrueAnswers));

  it('no transaction fails that was not made to fail', () =>
    always(({ rig, told }) => {
      const logged = rig.log.map(
        (line) => (JSON.parse(line) as { readonly err: { readonly message: string } }).err.message,
      );
      const errors = told.flatMap(({ error }) =>
        error instanceof Error && !(error instanceof GenesisError) ? error.message : [],
      );
      expect([...logged, ...errors].filter((message) => message !== 'a defect')).toEqual([]);
    }));

  it('no session stays locked and no timer stays set', () =>
    always(({ rig }) => {
      expect([...rig.store.tables.sessions.keys()].filter((id) => rig.store.isLocked(id))).toEqual([]);
      expect(vi.getTimerCount()).toBe(0);
    }));

  it('everything that can happen happens', async () => {
    // With a seed: this is about the scenarios, and never about luck.
    const seeded = { seed: 1, numRuns: 300 };
    const seen = new Map<string, number>();
    const note = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1);
    await always(({ told }) => {
      for (const { outcome, error } of told) {
        if (outcome?.kind === 'refused') note(outcome.refusal.code);
        else if (outcome?.kind === 'accepted')
          note(outcome.replayed ? 'replayed' : `accepted ${outcome.answer.status}`);
        else note(error instanceof Error && 'code' in error ? String(error.code) : 'a defect');
      }
    }, seeded);
    expect([...seen.keys()].toSorted()).toEqual([
      'DUPLICATE_COMMAND',
      'IDEMPOTENCY_KEY_REUSED',
      'NOTHING_TO_ANSWER',
      'OUTCOME_UNKNOWN',
      'OVERLOADED',
      'SESSION_CLOSED',
      'SESSION_NOT_FOUND',
      'STAGE_MISMATCH',
      'UNAVAILABLE',
      'VERSION_MISMATCH',
      'a defect',
      'accepted COMPLETED',
      'accepted PROCESSING',
      'replayed',
    ]);
  });
});
