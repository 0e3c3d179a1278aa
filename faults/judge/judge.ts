import type { Evidence } from './evidence.ts';
import { DUPLICATES, RULES } from './rules.ts';

export interface Violation {
  /** Name of the rule. */
  readonly rule: string;
  readonly cases: number;
  /** A few of the cases. */
  readonly examples: readonly string[];
}

export interface Verdict {
  readonly accepted: number;
  readonly refused: number;
  readonly unknown: number;
  readonly events: number;
  readonly records: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly foreign: number;
  readonly altered: number;
  /** FAILED rows at the end. */
  readonly failed: number;
  /** Empty: nothing was found. */
  readonly violations: readonly Violation[];
}

export interface Expectations {
  /** Most records beyond the first of each event; 0 in exactly-once mode. Default: any number. */
  readonly duplicates?: number;
  /** Rows that are to be FAILED at the end. Default 0. */
  readonly failed?: number;
}

const EXAMPLES = 5;

/** Compares what clients were told, the tables and the topic. */
export function judge(evidence: Evidence, expected: Expectations = {}): Verdict {
  evidence.seal();
  const found = RULES.map(({ name, query }) => ask(evidence, name, query)).filter(({ cases }) => cases > 0);
  const cases = (rule: string): number => found.find((violation) => violation.rule === rule)?.cases ?? 0;
  const duplicated = Number(evidence.database.prepare(DUPLICATES).get()?.['n'] ?? 0);
  const failed = evidence.count('outbox', `status = 'FAILED'`);
  return {
    accepted: evidence.count('client', `outcome = 'accepted'`),
    refused: evidence.count('client', `outcome = 'refused'`),
    unknown: evidence.count('client', `outcome = 'unknown'`),
    events: evidence.count('events'),
    records: evidence.count('records'),
    lost: cases('lost'),
    duplicated,
    reordered: cases('reordered'),
    foreign: cases('foreign'),
    altered: cases('altered'),
    failed,
    violations: [
      ...found,
      ...bound('duplicated', duplicated, expected.duplicates ?? Infinity),
      ...(failed === (expected.failed ?? 0)
        ? []
        : [{ rule: 'failed', cases: failed, examples: [`${expected.failed ?? 0} rows should be FAILED`] }]),
    ],
  };
}

function ask({ database }: Evidence, rule: string, query: string): Violation {
  const count = database.prepare(`SELECT count(*) AS n FROM (${query})`).get();
  const cases = Number(count?.['n'] ?? 0);
  const rows = cases === 0 ? [] : database.prepare(`${query} LIMIT ${EXAMPLES}`).all();
  return { rule, cases, examples: rows.map((row) => String(row['detail'])) };
}

function bound(rule: string, cases: number, most: number): Violation[] {
  return cases > most ? [{ rule, cases, examples: [`at most ${most} are allowed`] }] : [];
}
