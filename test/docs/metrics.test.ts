import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { everyMetric, registered } from '../observability/metrics/every-metric.ts';

/** `| \`name\` | type | \`label\`, \`label\` | meaning |` */
const ROW = /^\| `(?<name>\w+)` +\| (?<type>\w+) +\| (?<labels>—|`[^|]+`) +\| (?<help>.+?) +\|$/gmu;

const text = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
const documented = [...text.matchAll(ROW)].map(({ groups = {} }) => ({
  name: groups['name'],
  type: groups['type'],
  labels: [...(groups['labels'] ?? '').matchAll(/`(\w+)`/gu)].map(([, label]) => label),
  help: groups['help'],
}));

test('docs/metrics.md tells every metric that there is, with its type, labels and meaning, and no other', () => {
  const there = registered(everyMetric());
  expect(there.length).toBeGreaterThan(50);
  const byName = (one: { name?: string | undefined }, other: { name?: string | undefined }) =>
    (one.name ?? '').localeCompare(other.name ?? '');
  expect(documented.toSorted(byName)).toEqual([...there].toSorted(byName));
});

test('each query in docs/metrics.md names metrics that there are', () => {
  const series = new Set(
    registered(everyMetric()).flatMap(({ name, type }) =>
      type === 'histogram' ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  );
  const named = [...text.matchAll(/\b(?:genesis|process)_\w+/gu)]
    .map(([name]) => name)
    .filter((name) => !name.endsWith('_'));
  expect(named.length).toBeGreaterThan(documented.length);
  expect(named.filter((name) => !series.has(name))).toEqual([]);
});
