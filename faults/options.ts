import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { DeliveryMode } from '../src/relay/ports.ts';
import type { Mutation } from './mutate.ts';
import { MUTATIONS } from './mutations.ts';
import type { Scenario } from './scenario.ts';
import { SCENARIOS } from './scenarios/index.ts';

export const USAGE = `npm run faults -- <scenario>… | all   runs scenarios; ends with 1 if one broke a promise, with 2 on wrong usage
                 [--seed N]       the moments and sizes of an earlier run (default: by chance, printed)
                 [--runs N]       each so many times, with seeds that follow each other (1)
                 [--delivery at-least-once|exactly-once|both]   (at-least-once)
                 [--scale N]      so many times as many faults, or that part of them (1)
                 [--json FILE]    appends one line for each run
                 [--code FOLDER]  the program to break (this one)
                 [--keep]         keeps logs and evidence of runs that held, too
                 [--quiet]        tells only results
npm run faults -- --mutations [NAME…]   puts defects in, one by one; each must be found
npm run faults -- --list                what there is`;

export interface FaultOptions {
  readonly action: 'campaign' | 'mutations' | 'list' | 'help';
  readonly scenarios: readonly Scenario[];
  readonly mutations: readonly Mutation[];
  readonly deliveries: readonly DeliveryMode[];
  /** Of the first run; each further one has the next. */
  readonly seed: number;
  readonly runs: number;
  readonly scale: number;
  readonly json: string | null;
  readonly code: string;
  readonly keep: boolean;
  readonly quiet: boolean;
}

const OPTIONS = {
  seed: { type: 'string' },
  runs: { type: 'string', default: '1' },
  scale: { type: 'string', default: '1' },
  delivery: { type: 'string', default: 'at-least-once' },
  json: { type: 'string' },
  code: { type: 'string', default: join(import.meta.dirname, '..') },
  keep: { type: 'boolean', default: false },
  quiet: { type: 'boolean', default: false },
  mutations: { type: 'boolean', default: false },
  list: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

/** @throws Error that names what is wrong */
export function readOptions(args: readonly string[]): FaultOptions {
  const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });
  const action = actionOf(values, positionals);
  return {
    action,
    scenarios: action === 'campaign' ? scenariosOf(positionals) : [],
    mutations: action === 'mutations' ? mutationsOf(positionals) : [],
    deliveries: deliveriesOf(values.delivery),
    seed: values.seed === undefined ? randomInt(1, 1_000_000) : whole('seed', values.seed),
    runs: whole('runs', values.runs),
    scale: above0('scale', values.scale),
    json: values.json ?? null,
    code: values.code,
    keep: values.keep,
    quiet: values.quiet,
  };
}

interface Asked {
  readonly help: boolean;
  readonly list: boolean;
  readonly mutations: boolean;
}

function actionOf({ help, list, mutations }: Asked, positionals: readonly string[]): FaultOptions['action'] {
  if (help) return 'help';
  if (list) return 'list';
  if (mutations) return 'mutations';
  if (positionals.length === 0) throw new Error('which scenarios?');
  return 'campaign';
}

function scenariosOf(names: readonly string[]): readonly Scenario[] {
  return names.includes('all') ? SCENARIOS : names.map((name) => named('scenario', SCENARIOS, name));
}

function mutationsOf(names: readonly string[]): readonly Mutation[] {
  return names.length === 0 ? MUTATIONS : names.map((name) => named('mutation', MUTATIONS, name));
}

function named<One extends { readonly name: string }>(kind: string, all: readonly One[], wanted: string): One {
  const one = all.find(({ name }) => name === wanted);
  if (one === undefined) throw new Error(`there is no ${kind} ${wanted}: ${all.map(({ name }) => name).join(', ')}`);
  return one;
}

function deliveriesOf(delivery: string): readonly DeliveryMode[] {
  if (delivery === 'both') return ['at-least-once', 'exactly-once'];
  if (delivery === 'at-least-once' || delivery === 'exactly-once') return [delivery];
  throw new Error(`--delivery '${delivery}': it must be at-least-once, exactly-once or both`);
}

function above0(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new Error(`--${option} '${text}': it must be a number above 0`);
  return value;
}

function whole(option: string, text: string): number {
  const value = above0(option, text);
  if (!Number.isSafeInteger(value)) throw new Error(`--${option} '${text}': it must be a whole number`);
  return value;
}
