import type { AlertRow } from './run.ts';

const seconds = (value: number | null): string => (value === null ? '**never**' : `${value.toFixed(1)} s`);

/** As it stands in docs/operations/alerts/README.md. */
export function alertTable(rows: readonly AlertRow[]): string {
  const lines = rows.map(({ alert, severity, fault, firedAfter, clearedAfter, aftermath }) => {
    const fired = `${seconds(firedAfter)}${aftermath ? ' after healing' : ''}`;
    return `| [${alert}](${alert}.md) | ${severity} | ${fault} | ${fired} | ${seconds(clearedAfter)} |`;
  });
  return ['| alert | severity | fault | fired after | over after healing |', '|---|---|---|---|---|', ...lines].join(
    '\n',
  );
}
