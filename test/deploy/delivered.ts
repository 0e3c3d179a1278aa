import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readRules, type Rule } from '../../faults/alerts/scaled-rules.ts';
import { everyMetric, registered } from '../observability/metrics/every-metric.ts';

export const ROOT = join(import.meta.dirname, '..', '..');
export const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

export type Alert = Rule & { readonly alert: string };

const rules = [...readRules().values()].flatMap(({ groups }) => groups.flatMap((group) => group.rules));
export const ALERTS: readonly Alert[] = rules.flatMap((rule) =>
  rule.alert === undefined ? [] : [{ ...rule, alert: rule.alert }],
);
export const RECORDINGS: readonly (Rule & { readonly record: string })[] = rules.flatMap((rule) =>
  rule.record === undefined ? [] : [{ ...rule, record: rule.record }],
);

/** What Prometheus itself says of targets and alerts. */
const OWN: readonly [string, readonly string[]][] = [
  ['up', []],
  ['ALERTS', ['alertname', 'alertstate', 'severity']],
];

/** Labels of every series that a query may name, by its name; `job` and `instance` are Prometheus' own. */
export const SERIES: ReadonlyMap<string, readonly string[]> = new Map([
  ...OWN,
  ...registered(everyMetric()).flatMap(({ name, type, labels }): readonly [string, readonly string[]][] =>
    type === 'histogram'
      ? [
          [`${name}_bucket`, [...labels, 'le']],
          [`${name}_sum`, labels],
          [`${name}_count`, labels],
        ]
      : [[name, labels]],
  ),
  ...RECORDINGS.map(({ record }): [string, readonly string[]] => [record, ['pool']]),
]);

interface Target {
  readonly refId: string;
  readonly expr: string;
  readonly legendFormat: string;
  readonly datasource: { readonly uid: string };
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number };
  readonly datasource?: { readonly uid: string };
  readonly targets?: readonly Target[];
}

export interface Dashboard {
  readonly id: null;
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
}

export const DASHBOARD = JSON.parse(read('deploy/grafana/genesis.json')) as Dashboard;

/** Every query of the dashboard, with what Grafana puts in. */
export const QUERIES = DASHBOARD.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ refId, expr, legendFormat }) => {
    const legend = [...legendFormat.matchAll(/\{\{(\w+)\}\}/gu)].map(([, label = '']) => label);
    return { name: `${title}, ${refId}`, expr: expr.replaceAll('$__rate_interval', '15s'), legend };
  }),
);
