import { Histogram, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { histogram, histogramFamily } from '../../../src/observability/metrics/distribution.ts';
import { seriesOf } from './series.ts';

const OPTIONS = { name: 'a_seconds', help: 'x', buckets: [0.1, 1, 10] };
const VALUES = [0, 0.1, 0.100_1, 1, 5, 10, 11, 1_000];

test("counts as prom-client's own histogram does", async () => {
  const ours = new Registry();
  const theirs = new Registry();
  const family = histogramFamily(ours, { ...OPTIONS, labels: ['kind', 'of'] });
  const own = new Histogram({
    ...OPTIONS,
    buckets: [...OPTIONS.buckets],
    labelNames: ['kind', 'of'],
    registers: [theirs],
  });
  for (const value of VALUES) {
    for (const [kind, of] of [
      ['one', 'x'],
      ['two', 'y'],
    ] as const) {
      family.of(kind, of).observe(value);
      own.observe({ kind, of }, value);
    }
  }
  family.of('two', 'y').observe(3);
  own.observe({ kind: 'two', of: 'y' }, 3);
  expect(seriesOf(await ours.metrics())).toEqual(seriesOf(await theirs.metrics()));
  expect(await ours.metrics()).toMatch(/^# HELP a_seconds x\n# TYPE a_seconds histogram\n/u);
});

test('is there before anything was observed, if it has no labels', async () => {
  const registry = new Registry();
  histogram(registry, OPTIONS);
  expect(seriesOf(await registry.metrics()).get('a_seconds_bucket{le="+Inf"}')).toBe(0);
});

test('what is less than nothing, or no number, counts as 0', async () => {
  const registry = new Registry();
  const one = histogram(registry, OPTIONS);
  for (const value of [-1, Number.NaN, -Infinity]) one.observe(value);
  const series = seriesOf(await registry.metrics());
  expect(series.get('a_seconds_bucket{le="0.1"}')).toBe(3);
  expect(series.get('a_seconds_sum')).toBe(0);
});
