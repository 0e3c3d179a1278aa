import { lineChart, type Point } from '../plot.ts';
import type { Run } from './run.ts';
import type { Second } from './timeline.ts';

/** A run by seconds: what went in and came out, what waited, and for how long. */
export function chartsOf(delivery: string, { timeline }: Run): readonly string[] {
  const x = { label: 'seconds' };
  const line = (name: string, value: (second: Second) => number) => ({
    name,
    data: timeline.map((second): Point => [second.second, value(second)]),
  });
  return [
    lineChart({
      title: `End to end, ${delivery}: commands in, records out, backlog`,
      x,
      y: { label: 'per second; events that wait' },
      series: [
        line('committed', ({ committed }) => committed),
        line('acknowledged and marked', ({ sent }) => sent),
        line('backlog', ({ backlog }) => backlog),
      ],
    }),
    lineChart({
      title: `End to end, ${delivery}: from a transaction to its marked event`,
      x,
      y: { label: 'ms' },
      series: [line('p50', ({ lagP50 }) => lagP50), line('p99', ({ lagP99 }) => lagP99)],
    }),
  ];
}
