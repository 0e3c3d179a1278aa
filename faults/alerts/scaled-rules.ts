import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse, stringify } from 'yaml';

/** A rule as Prometheus reads it. */
export interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface RuleFile {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
}

const RULES = join(import.meta.dirname, '..', '..', 'deploy', 'prometheus', 'rules');
const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** The rules as they are delivered, by the names of their files. */
export function readRules(): ReadonlyMap<string, RuleFile> {
  const files = globSync('*.yml', { cwd: RULES }).toSorted();
  return new Map(files.map((name) => [name, parse(readFileSync(join(RULES, name), 'utf8')) as RuleFile]));
}

/** Seconds. Figures of the database are kept for five: what must hold for longer than a look must hold for longer than that. */
const LEAST_FOR = 6;
/** Seconds: a rate needs some looks, of which there is one a second. */
const LEAST_WINDOW = 5;

/** A duration of Prometheus, e.g. `5m`, divided; never less than so many seconds. */
function scaleDuration(duration: string, factor: number, least: number): string {
  const seconds = [...duration.matchAll(/(\d+)([smhd])/gu)].reduce(
    (sum, [, count, unit = 's']) => sum + Number(count) * (UNITS[unit] ?? 1),
    0,
  );
  return `${Math.max(least, Math.round(seconds / factor))}s`;
}

/**
 * The same expression for a world in which time goes `factor` times as fast: windows in brackets are divided, and so are times that are
 * written `minutes * 60`. What was measured (a latency, an age that a bucket knows) is not.
 */
function scaleExpression(expression: string, factor: number): string {
  return expression
    .replaceAll(/\[(\w+)\]/gu, (_, duration: string) => `[${scaleDuration(duration, factor, LEAST_WINDOW)}]`)
    .replaceAll(/(\d) \* 60\b/gu, `$1 * 60 / ${factor}`);
}

function scaleRule(rule: Rule, factor: number): Rule {
  return {
    ...rule,
    expr: scaleExpression(rule.expr, factor),
    ...(rule.for === undefined ? {} : { for: scaleDuration(rule.for, factor, LEAST_FOR) }),
  };
}

/** Writes the rules into the folder, with all their times divided by `factor`. Gives the files. */
export function writeScaledRules(folder: string, factor: number): readonly string[] {
  mkdirSync(folder, { recursive: true });
  return [...readRules()].map(([name, { groups }]) => {
    const scaled = groups.map((group) => ({ ...group, rules: group.rules.map((rule) => scaleRule(rule, factor)) }));
    const path = join(folder, basename(name));
    writeFileSync(path, stringify({ groups: scaled }));
    return path;
  });
}
