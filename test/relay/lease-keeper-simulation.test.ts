import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LeaseWorld, type Fault, type LeaseScenario, type LeaseWorldOptions } from './lease-keeper-world.ts';

const LASTS = 30_000;

const relay = fc.nat(4);
const at = fc.integer({ min: 0, max: LASTS });
const fault: fc.Arbitrary<Fault> = fc.oneof(
  fc.record({ kind: fc.constantFrom('start' as const, 'stop' as const, 'crash' as const, 'cut' as const), at, relay }),
  fc.record({ kind: fc.constant('freeze' as const), at, relay, lasts: fc.integer({ min: 100, max: 12_000 }) }),
);
/** One per cent and a little more off, each way. */
const rate = fc.integer({ min: 989, max: 1_011 }).map((thousandths) => thousandths / 1_000);

const scenario: fc.Arbitrary<LeaseScenario> = fc
  .record({
    shards: fc.integer({ min: 1, max: 9 }),
    rates: fc.array(rate, { minLength: 1, maxLength: 5 }),
    databaseRate: rate,
    faults: fc.array(fault, { maxLength: 14 }),
    trouble: fc.constantFrom(0, 0.05, 0.3),
    seed: fc.integer(),
  })
  .map((drawn) => ({
    ...drawn,
    faults: [
      ...drawn.rates.map((_, relay): Fault => ({ kind: 'start', at: relay * 300, relay })),
      ...drawn.faults.filter((fault) => fault.relay < drawn.rates.length),
      // Somebody is there in the end.
      { kind: 'start', at: LASTS, relay: 0 },
    ],
  }));

async function play(scenario: LeaseScenario, options?: LeaseWorldOptions): Promise<LeaseWorld> {
  const world = new LeaseWorld(scenario, options);
  await world.run();
  return world;
}

/** Whether any of many runs shows two holders at once. */
async function isCaught(options: LeaseWorldOptions): Promise<boolean> {
  for (const drawn of fc.sample(scenario, { numRuns: 300, seed: 1 })) {
    const { violations } = await play(drawn, options);
    if (violations.length > 0) return true;
  }
  return false;
}

describe('relays that join, leave, crash, freeze and lose answers, by clocks that differ', () => {
  test('never hold a shard two at a time, and share all of them soon after the last fault', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async (drawn) => {
        const world = await play(drawn);
        expect(world.violations).toEqual([]);
        const shares = world.shares();
        expect(shares.reduce((sum, share) => sum + share, 0)).toBe(drawn.shards);
        expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
      }),
      { numRuns: 150, endOnFailure: true },
    );
  });

  test('are caught when they trust a lease longer than it lasts', async () => {
    expect(await isCaught({ trust: 1.3 })).toBe(true);
  });

  test('are caught when the database gives away what is held', async () => {
    expect(await isCaught({ defect: 'gives away what is held' })).toBe(true);
  });
});
