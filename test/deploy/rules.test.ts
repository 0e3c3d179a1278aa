import { globSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { checkPrometheus } from '../../checks/promtool.ts';
import { createProgram } from '../../src/cli/program.ts';
import { ALERTS, DASHBOARD, QUERIES, read, RECORDINGS, ROOT, SERIES } from './delivered.ts';
import { namedIn } from './promql.ts';

interface RuleTests {
  readonly tests: readonly {
    readonly promql_expr_test: readonly { readonly expr: string; readonly exp_samples: readonly unknown[] }[];
  }[];
}

const RUNBOOKS = globSync('docs/operations/alerts/Genesis*.md', { cwd: ROOT });
const runbooks = new Map(RUNBOOKS.map((path) => [basename(path, '.md'), read(path)]));

/** What an expression names and nothing exposes. */
function unknownIn(expression: string): readonly string[] {
  const { selectors, grouping } = namedIn(expression);
  const known = selectors.flatMap(({ metric }) => SERIES.get(metric) ?? []);
  return [
    ...selectors.flatMap(({ metric, labels }) => {
      const has = SERIES.get(metric);
      if (has === undefined) return [metric];
      return labels
        .filter((label) => ![...has, 'job', 'instance'].includes(label))
        .map((label) => `${metric}{${label}}`);
    }),
    ...grouping.filter((label) => ![...known, 'job', 'instance'].includes(label)).map((label) => `by (${label})`),
  ];
}

/** Words of a call that there is no command or option for. */
function wrongIn(program: Command, words: string): readonly string[] {
  const [name = '', ...rest] = words.trim().split(/\s+/u);
  const top = program.commands.find((each) => each.name() === name);
  if (top === undefined) return [name];
  const [first = '--'] = rest;
  const sub = top.commands.find((each) => each.name() === first);
  const strange = top.commands.length > 0 && sub === undefined && !first.startsWith('-') ? [first] : [];
  const options = new Set((sub ?? top).options.map(({ long }) => long));
  return [...strange, ...rest.filter((word) => word.startsWith('--') && !options.has(word))];
}

describe('rules', () => {
  // It may have to be fetched first.
  test('satisfy promtool, and do what their tests say', { timeout: 300_000 }, ({ skip }) => {
    const checks = checkPrometheus();
    skip(checks === null, 'there is no promtool');
    expect(checks?.length).toBeGreaterThan(4);
    expect(checks?.filter(({ status }) => status !== 0)).toEqual([]);
  });

  test.each(ALERTS)('$alert says what is wrong, how much it hurries, and where it is told what to do', (rule) => {
    const { alert, labels, annotations } = rule;
    expect(['page', 'ticket']).toContain(labels?.['severity']);
    expect(annotations?.['summary']?.length).toBeGreaterThan(15);
    expect(annotations?.['description']?.length).toBeGreaterThan(60);
    expect(annotations?.['runbook_url']).toBe(`docs/operations/alerts/${alert}.md`);
  });

  test('have each alert tested just below its threshold, above it, and well again', () => {
    const files = globSync('deploy/prometheus/tests/*.test.yml', { cwd: ROOT });
    const tests = files.flatMap((path) => (parse(read(path)) as RuleTests).tests);
    const phases = (alert: string) =>
      tests.map(({ promql_expr_test: looks }) =>
        looks
          .filter(({ expr }) => expr.includes(`alertname="${alert}"`))
          .map(({ exp_samples: samples }) => (samples.length === 0 ? '-' : 'fires'))
          .join(' '),
      );
    expect(ALERTS.filter(({ alert }) => !phases(alert).some((each) => /^- .*fires -$/u.test(each)))).toEqual([]);
  });

  test('name only metrics and labels that there are', () => {
    expect(ALERTS.length).toBeGreaterThan(20);
    for (const { record, expr } of RECORDINGS)
      expect({ record, unknown: unknownIn(expr) }).toEqual({ record, unknown: [] });
    for (const { alert, expr } of ALERTS) expect({ alert, unknown: unknownIn(expr) }).toEqual({ alert, unknown: [] });
  });

  test('use each recording somewhere', () => {
    const used = [...ALERTS, ...QUERIES].map(({ expr }) => expr).join('\n');
    expect(RECORDINGS.map(({ record }) => record).filter((record) => !used.includes(record))).toEqual([]);
  });
});

describe('runbooks', () => {
  test('there is one for each alert, and no other', () => {
    expect([...runbooks.keys()].toSorted()).toEqual(ALERTS.map(({ alert }) => alert).toSorted());
    const index = read('docs/operations/alerts/README.md');
    expect(ALERTS.filter(({ alert }) => !index.includes(`[${alert}](${alert}.md)`))).toEqual([]);
  });

  test.each([...runbooks])('%s says what it means, what to look at, what to do, and how it clears', (name, text) => {
    const severity = ALERTS.find(({ alert }) => alert === name)?.labels?.['severity'];
    expect(text).toMatch(new RegExp(`^# ${name}\n\n\\*\\*${severity === 'page' ? 'Page' : 'Ticket'}[.,]`, 'u'));
    const headings = [...text.matchAll(/^## (.+)$/gmu)].map(([, heading]) => heading);
    expect(headings).toEqual(['What it means', 'What to look at', 'What to do', 'How it clears']);
  });

  test.each([...runbooks])('%s asks Prometheus for what there is', (_, text) => {
    const queries = [...text.matchAll(/```promql\n([\s\S]*?)```/gu)].flatMap(([, lines = '']) =>
      lines.trim().split('\n'),
    );
    expect(queries.length).toBeGreaterThan(0);
    for (const query of queries) expect({ query, unknown: unknownIn(query) }).toEqual({ query, unknown: [] });
  });

  test('name commands and options of genesis that there are', async () => {
    const program = await createProgram({ run: () => Promise.resolve() }, {}, '0');
    const named = [...runbooks.values()].flatMap((text) => [...text.matchAll(/npx genesis ([^`#\n]+)/gu)]);
    expect(named.length).toBeGreaterThan(40);
    for (const [, words = ''] of named) expect({ words, wrong: wrongIn(program, words) }).toEqual({ words, wrong: [] });
  });
});

describe('the dashboard', () => {
  const shown = DASHBOARD.panels.filter(({ type }) => type !== 'row');

  test('can be imported anywhere: it names a source of data by its variable', () => {
    expect(DASHBOARD.id).toBeNull();
    expect(DASHBOARD.templating.list).toContainEqual(
      expect.objectContaining({ name: 'datasource', type: 'datasource' }),
    );
    const sources = shown.flatMap(({ datasource, targets = [] }) => [
      datasource,
      ...targets.map((each) => each.datasource),
    ]);
    expect(new Set(sources.map((source) => source?.uid))).toEqual(new Set(['${datasource}']));
    const ids = DASHBOARD.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('has the rows that an operator looks for, and no two panels in one place', () => {
    const rows = DASHBOARD.panels.filter(({ type }) => type === 'row').map(({ title }) => title);
    expect(rows).toEqual([
      'At a glance',
      'Commands',
      'Transactions and pools',
      'Relay',
      'Outbox and shards',
      'Reconcile',
      'Process',
    ]);
    const cells = DASHBOARD.panels.flatMap(({ gridPos: { h, w, x, y } }) =>
      Array.from({ length: h * w }, (_, at) => `${x + (at % w)},${y + Math.floor(at / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(shown.filter(({ gridPos: { x, w } }) => x + w > 24)).toEqual([]);
  });

  test.each(QUERIES)('$name asks for what there is', ({ expr, legend }) => {
    const labels = namedIn(expr).selectors.flatMap(({ metric }) => SERIES.get(metric) ?? []);
    expect(unknownIn(expr)).toEqual([]);
    expect(legend.filter((label) => ![...labels, 'job', 'instance'].includes(label))).toEqual([]);
  });

  test('shows every metric', () => {
    const named = QUERIES.flatMap(({ expr }) => namedIn(expr).selectors.map(({ metric }) => metric));
    const rules = RECORDINGS.filter(({ record }) => named.includes(record)).flatMap(({ expr }) =>
      namedIn(expr).selectors.map(({ metric }) => metric),
    );
    const seen = new Set([...named, ...rules].map((metric) => metric.replace(/_(?:bucket|sum|count)$/u, '')));
    const all = [...SERIES.keys()]
      .filter((name) => !name.includes(':'))
      .map((name) => name.replace(/_(?:bucket|sum|count)$/u, ''));
    expect([...new Set(all)].filter((name) => !seen.has(name))).toEqual([]);
  });
});

test('each time in the rules that a fault run divides is written so that it can be', () => {
  const paths = globSync('deploy/prometheus/rules/*.yml', { cwd: ROOT });
  // Seconds that are compared with a time() or an age, but not written as minutes * 60.
  const strange = paths.flatMap(
    (path) => read(path).match(/(?:time\(\)[^\n]*|_age_seconds[^\n]*)> \d+(?! \* 60)\d*$/gmu) ?? [],
  );
  expect(join(ROOT, paths[0] ?? '')).not.toBe(ROOT);
  expect(strange).toEqual([]);
});
