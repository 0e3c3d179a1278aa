import { expect, test } from 'vitest';
import { LatencyProbe } from '../../faults/latency.ts';
import { percentile } from '../../faults/percentile.ts';
import { seededRandom } from '../../faults/random.ts';
import { findings, table } from '../../faults/report.ts';
import type { RunReport } from '../../faults/run-scenario.ts';
import { SCENARIOS } from '../../faults/scenarios/index.ts';
import { until } from '../../faults/until.ts';

test('a seed repeats its numbers, another one does not', () => {
  const numbers = (seed: number) => {
    const random = seededRandom(seed);
    return Array.from({ length: 5 }, () => random.next());
  };
  expect(numbers(7)).toEqual(numbers(7));
  expect(numbers(7)).not.toEqual(numbers(8));
});

test('what is forked from a source does not depend on how much was taken from it', () => {
  const [one, other] = [seededRandom(7), seededRandom(7)];
  other.next();
  expect(one.fork('writer').next()).toBe(other.fork('writer').next());
  expect(one.fork('writer').next()).not.toBe(one.fork('another').next());
});

test('numbers between bounds reach both and nothing beyond', () => {
  const random = seededRandom(1);
  const seen = Array.from({ length: 200 }, () => random.between(2, 4));
  expect(new Set(seen)).toEqual(new Set([2, 3, 4]));
  expect(() => random.pick([])).toThrow(RangeError);
});

test('percentiles are values that occurred', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
  expect([percentile(hundred, 0.5), percentile(hundred, 0.99), percentile([], 0.5)]).toEqual([50, 99, 0]);
});

test('latency counts from the commit, whichever is heard of first', () => {
  const probe = new LatencyProbe();
  probe.committed('a', 1, 100);
  probe.arrived('a', 1, 104);
  probe.arrived('a', 2, 203);
  probe.committed('a', 2, 200);
  // The record may be seen before its writer hears of the commit.
  probe.arrived('a', 3, 299);
  probe.committed('a', 3, 300);
  expect(probe.summary()).toEqual({ samples: 3, p50: 3, p99: 4, most: 4 });
  expect(probe.summary(150, 250)).toMatchObject({ samples: 1, most: 3 });
});

test('a copy, and a session that is to be ignored, are no samples', () => {
  const probe = new LatencyProbe();
  probe.ignore('b');
  probe.committed('b', 1, 0);
  probe.arrived('b', 1, 9_999);
  probe.committed('a', 1, 0);
  probe.arrived('a', 1, 1);
  probe.arrived('a', 1, 5_000);
  expect(probe.summary()).toEqual({ samples: 1, p50: 1, p99: 1, most: 1 });
});

test('waiting for what never comes says what it was and how it failed', async () => {
  const waiting = until('a sign', () => Promise.reject(new Error('no link')), { every: 1, within: 5 });
  await expect(waiting).rejects.toMatchObject({ message: 'not within 0.005 s: a sign', cause: new Error('no link') });
});

test('every scenario has a name of its own and says what it does', () => {
  expect(new Set(SCENARIOS.map(({ name }) => name)).size).toBe(SCENARIOS.length);
  for (const { name, about } of SCENARIOS) {
    expect(name).toMatch(/^[a-z-]+$/u);
    expect(about.length).toBeGreaterThan(20);
  }
});

const REPORT: RunReport = {
  scenario: 'relay-killed',
  seed: 42,
  delivery: 'at-least-once',
  faults: 50,
  recovery: 1_234,
  memory: 120,
  seconds: 90,
  accepted: 900,
  refused: 100,
  unknown: 0,
  events: 950,
  records: 1_000,
  lost: 0,
  duplicated: 50,
  reordered: 0,
  foreign: 0,
  altered: 0,
  failed: 0,
  violations: [],
  figures: {},
};

test('the table has a line per scenario and mode, and names the seeds that broke a promise', () => {
  const broken = { ...REPORT, seed: 43, lost: 1, violations: [{ rule: 'lost', cases: 1, examples: ['event x'] }] };
  const [head, line] = table([REPORT, broken]).split('\n');
  expect(head?.split(/\s{2,}/u).slice(0, 6)).toEqual(['fault', 'delivery', 'runs', 'faults', 'requests', 'events']);
  expect(line?.split(/\s{2,}/u)).toEqual(
    'relay-killed|at-least-once|2|100|2000|1900|1|100|0|0|0|1.2 s, at most 1.2 s|120 MiB|VIOLATED, seeds 43'.split('|'),
  );
  expect(findings(broken)).toBe(
    '  lost: 1\n    event x\n  again: npm run faults -- relay-killed --seed 43 --delivery at-least-once',
  );
  expect(table([REPORT])).toMatch(/ held$/u);
});
