import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DeliveryMode } from '../src/relay/ports.ts';
import { InfrastructurePool } from './infrastructure.ts';
import { mutate, type Mutation } from './mutate.ts';
import { readOptions, USAGE, type FaultOptions } from './options.ts';
import { findings, table } from './report.ts';
import { runScenario, type RunReport } from './run-scenario.ts';
import type { Scenario } from './scenario.ts';
import { SCENARIOS } from './scenarios/index.ts';

const options = chosen();

/** Ends the program at once when there is nothing to run. */
function chosen(): FaultOptions {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    process.exit(2);
  }
}

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
  const { scale } = options;
  const report = await runScenario(scenario, { infrastructure, code, folder: own, seed, delivery, scale, tell });
  const line = JSON.stringify(report);
  console.log(line);
  if (options.json !== null) appendFileSync(options.json, `${line}\n`);
  if (report.violations.length > 0) {
    console.log(findings(report));
    await pool.discard();
  } else if (!options.keep) rmSync(own, { recursive: true, force: true });
  return report;
}

async function campaign(): Promise<number> {
  const reports: RunReport[] = [];
  for (const scenario of options.scenarios) {
    for (const delivery of options.deliveries) {
      for (let at = 0; at < options.runs; at += 1) {
        reports.push(await run({ scenario, delivery, seed: options.seed + at, code: options.code }));
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
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const { violations } = await run({ scenario, delivery, seed: options.seed + attempt, code });
    const found = violations.map(({ rule }) => rule);
    const caught = found.some((rule) => rules.includes(rule));
    console.log(`  ${caught ? 'caught' : `not caught by ${rules.join(' or ')}`}: ${found.join(', ') || 'nothing'}`);
    if (caught) return true;
  }
  return false;
}

async function mutationRuns(): Promise<number> {
  const wanted = options.mutations;
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
  switch (options.action) {
    case 'campaign':
      return campaign();
    case 'mutations':
      return mutationRuns();
    case 'list':
      return list();
    case 'help':
      console.log(USAGE);
      return 0;
  }
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
