import type { RunReport } from './run-scenario.ts';

interface Column {
  readonly title: string;
  readonly of: (reports: readonly RunReport[]) => string;
}

const sum = (reports: readonly RunReport[], of: (report: RunReport) => number): string =>
  String(reports.reduce((total, report) => total + of(report), 0));

const COLUMNS: readonly Column[] = [
  { title: 'fault', of: ([first]) => first?.scenario ?? '' },
  { title: 'delivery', of: ([first]) => first?.delivery ?? '' },
  { title: 'runs', of: (reports) => String(reports.length) },
  { title: 'faults', of: (reports) => sum(reports, ({ faults }) => faults) },
  {
    title: 'requests',
    of: (reports) => sum(reports, ({ accepted, refused, unknown }) => accepted + refused + unknown),
  },
  { title: 'events', of: (reports) => sum(reports, ({ events }) => events) },
  { title: 'lost', of: (reports) => sum(reports, ({ lost }) => lost) },
  { title: 'duplicated', of: (reports) => sum(reports, ({ duplicated }) => duplicated) },
  { title: 'reordered', of: (reports) => sum(reports, ({ reordered }) => reordered) },
  { title: 'foreign', of: (reports) => sum(reports, ({ foreign }) => foreign) },
  { title: 'altered', of: (reports) => sum(reports, ({ altered }) => altered) },
  { title: 'recovery', of: (reports) => recovery(reports) },
  { title: 'memory', of: (reports) => `${Math.max(...reports.map(({ memory }) => memory))} MiB` },
  { title: 'verdict', of: (reports) => verdict(reports) },
];

/** Median and longest, in seconds. */
function recovery(reports: readonly RunReport[]): string {
  const times = reports.flatMap((report) => (report.recovery === null ? [] : [report.recovery / 1_000]));
  times.sort((a, b) => a - b);
  const [median, longest] = [times[Math.floor(times.length / 2)], times.at(-1)];
  if (median === undefined || longest === undefined) return '-';
  return times.length === 1 ? `${median.toFixed(1)} s` : `${median.toFixed(1)} s, at most ${longest.toFixed(1)} s`;
}

function verdict(reports: readonly RunReport[]): string {
  const guilty = reports.filter(({ violations }) => violations.length > 0);
  return guilty.length === 0 ? 'held' : `VIOLATED, seeds ${guilty.map(({ seed }) => seed).join(' ')}`;
}

/** What a human reads: a line per scenario and delivery mode. */
export function table(reports: readonly RunReport[]): string {
  const groups = Map.groupBy(reports, ({ scenario, delivery }) => `${scenario} ${delivery}`);
  const rows = [
    COLUMNS.map(({ title }) => title),
    ...[...groups.values()].map((group) => COLUMNS.map(({ of }) => of(group))),
  ];
  const widths = COLUMNS.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** What was found, case by case. */
export function findings({ scenario, seed, delivery, violations }: RunReport): string {
  const lines = violations.flatMap(({ rule, cases, examples }) => [
    `  ${rule}: ${cases}`,
    ...examples.map((each) => `    ${each}`),
  ]);
  return [...lines, `  again: npm run faults -- ${scenario} --seed ${seed} --delivery ${delivery}`].join('\n');
}
