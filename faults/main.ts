import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { randomInt } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { DeliveryMode } from '../src/relay/ports.ts';
import { InfrastructurePool } from './infrastructure.ts';
import { mutate, type Mutation } from './mutate.ts';
import { MUTATIONS } from './mutations.ts';
import { findings, table } from './report.ts';
import { runScenario, type RunReport } from './run-scenario.ts';
import type { Scenario } from './scenario.ts';
import { SCENARIOS } from './scenarios/index.ts';

const USAGE = `npm run faults -- <scenario>… | all   [--seed N] [--runs N] [--delivery at-least-once|exactly-once|both]
                 [--scale N] [--json FILE] [--code FOLDER] [--keep] [--quiet]
npm run faults -- --mutations [NAME…]   puts defects in, one by one; each must be found
npm run faults -- --list`;
const ROOT = join(import.meta.dirname, '..');

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string' },
    runs: { type: 'string', default: '1' },
    scale: { type: 'string', default: '1' },
    delivery: { type: 'string', default: 'at-least-once' },
    json: { type: 'string' },
    code: { type: 'string', default: ROOT },
    keep: { type: 'boolean', default: false },
    quiet: { type: 'boolean', default: false },
    mutations: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
});

interface Plan {
  readonly scenario: Scenario;
  readonly delivery: DeliveryMode;
  readonly seed: number;
  readonly code: string;
}

// Each relay of a campaign listens for the end.
process.setMaxListeners(0);
const folder = mkdtempSync(join(tmpdir(), 'genesis-faults-'));
const pool = new InfrastructurePool(folder);
let runs = 0;

/** One run; servers that it may have left in disorder are not used again. */
async function run({ scenario, delivery, seed, code }: Plan): Promise<RunReport> {
  runs += 1;
  const own = join(folder, `run-${runs}`);
  console.log(`${scenario.name}, ${delivery}, seed ${seed} (${own})`);
  const infrastructure = await pool.provide(scenario.needs);
  const tell = (line: string): void => {
    if (!options.quiet) console.log(`  ${new Date().toISOString().slice(11, 23)} ${line}`);
  };
  const scale = Number(options.scale);
  const report = await runScenario(scenario, { infrastructure, code, folder: own, seed, delivery, scale, tell });
  const line = JSON.stringify(report);
  console.log(line);
  if (options.json !== undefined) appendFileSync(options.json, `${line}\n`);
  if (report.violations.length > 0) {
    console.log(findings(report));
    await pool.discard();
  } else if (!options.keep) rmSync(own, { recursive: true, force: true });
  return report;
}

function chosen(): readonly Scenario[] {
  if (positionals.includes('all')) return SCENARIOS;
  return positionals.map((name) => {
    const scenario = SCENARIOS.find((each) => each.name === name);
    if (scenario === undefined) throw new Error(`there is no scenario ${name}\n${USAGE}`);
    return scenario;
  });
}

function deliveries(): readonly DeliveryMode[] {
  const { delivery } = options;
  if (delivery === 'both') return ['at-least-once', 'exactly-once'];
  if (delivery === 'at-least-once' || delivery === 'exactly-once') return [delivery];
  throw new Error(`--delivery ${delivery}: at-least-once, exactly-once or both\n${USAGE}`);
}

async function campaign(): Promise<number> {
  const reports: RunReport[] = [];
  const first = options.seed === undefined ? randomInt(1, 1_000_000) : Number(options.seed);
  for (const scenario of chosen()) {
    for (const delivery of deliveries()) {
      for (let at = 0; at < Number(options.runs); at += 1) {
        reports.push(await run({ scenario, delivery, seed: first + at, code: options.code }));
      }
    }
  }
  console.log(`\n${table(reports)}`);
  return reports.every(({ violations }) => violations.length === 0) ? 0 : 1;
}

/** A fault strikes at a moment, not at an instruction: a defect may escape a run, and not every one of these. */
const ATTEMPTS = 4;

async function isCaught(mutation: Mutation): Promise<boolean> {
  const { name, about, delivery, rules } = mutation;
  const scenario = SCENARIOS.find((each) => each.name === mutation.scenario);
  if (scenario === undefined) throw new Error(`mutation ${name} names no scenario: ${mutation.scenario}`);
  const code = join(folder, `mutation-${name}`);
  mutate(options.code, mutation, code);
  console.log(`mutation ${name}: ${about}`);
  const first = options.seed === undefined ? randomInt(1, 1_000_000) : Number(options.seed);
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const { violations } = await run({ scenario, delivery, seed: first + attempt, code });
    const found = violations.map(({ rule }) => rule);
    const caught = found.some((rule) => rules.includes(rule));
    console.log(`  ${caught ? 'caught' : `not caught by ${rules.join(' or ')}`}: ${found.join(', ') || 'nothing'}`);
    if (caught) return true;
  }
  return false;
}

async function mutationRuns(): Promise<number> {
  const wanted = MUTATIONS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  const missed: string[] = [];
  for (const mutation of wanted) if (!(await isCaught(mutation))) missed.push(mutation.name);
  console.log(`\n${wanted.length - missed.length} of ${wanted.length} mutations caught`);
  if (missed.length > 0) console.log(`MISSED: ${missed.join(', ')}`);
  return missed.length === 0 ? 0 : 1;
}

function list(): number {
  for (const { name, about } of SCENARIOS) console.log(`${name.padEnd(20)} ${about}`);
  return 0;
}

async function main(): Promise<number> {
  if (options.list) return list();
  if (options.mutations) return mutationRuns();
  if (positionals.length === 0) {
    console.error(USAGE);
    return 2;
  }
  return campaign();
}

/** However it ends, no server of ours runs on. */
async function end(code: number): Promise<never> {
  await pool.stop();
  if (code === 0 && !options.keep) rmSync(folder, { recursive: true, force: true });
  else console.log(`logs and evidence: ${folder}`);
  process.exit(code);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void end(130));
try {
  await end(await main());
} catch (error) {
  console.error(error);
  await end(1);
}
