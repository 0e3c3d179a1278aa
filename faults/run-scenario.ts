import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { heal } from './infrastructure.ts';
import { collectTables, collectTopic } from './judge/collect.ts';
import { compareWithJava } from './judge/java-consumer.ts';
import { judge, type Verdict, type Violation } from './judge/judge.ts';
import { promise, type Scenario, type ScenarioEnd } from './scenario.ts';
import { World, type WorldOptions } from './world.ts';

/** One run as it is told: a line of JSON, a line of the table. */
export interface RunReport extends Verdict {
  readonly scenario: string;
  readonly seed: number;
  readonly delivery: string;
  readonly faults: number;
  /** Milliseconds; null: nothing to recover from, or it did not. */
  readonly recovery: number | null;
  /** Of the largest relay, in MiB. */
  readonly memory: number;
  readonly seconds: number;
  readonly figures: Readonly<Record<string, number | string>>;
}

const DRAIN_LIMIT = 120_000;
/** Of one relay, in MiB: far more than it needs, far less than what grows without end. */
const MEMORY_LIMIT = 400;

/** Runs a scenario in a world of its own and judges what it left. The world's folder stays. */
export async function runScenario(scenario: Scenario, options: WorldOptions): Promise<RunReport> {
  const began = performance.now();
  const world = await World.create(options);
  try {
    const end = await playScenario(scenario, world);
    const verdict = await judgeWorld(world, end);
    return {
      scenario: scenario.name,
      seed: options.seed,
      delivery: options.delivery,
      faults: world.faults(),
      recovery: end.recovery === null ? null : Math.round(end.recovery),
      memory: world.memory(),
      seconds: Math.round((performance.now() - began) / 1_000),
      ...verdict,
      figures: { ...end.figures, crashes: world.relays.all().reduce((sum, relay) => sum + relay.crashes, 0) },
    };
  } finally {
    await world.close();
  }
}

/** A scenario that waits in vain has found something: the run goes on to the judge. */
async function playScenario(scenario: Scenario, world: World): Promise<ScenarioEnd> {
  let end: ScenarioEnd;
  try {
    end = await scenario.run(world);
  } catch (error) {
    end = { recovery: null, violations: [{ rule: 'stuck', cases: 1, examples: [describe(error)] }] };
  }
  await heal(world.infrastructure);
  await world.workload.stop();
  // `unfinished` tells which rows are left, if some are.
  await world.untilDrained(DRAIN_LIMIT).catch((error: unknown) => world.tell(describe(error)));
  await world.relays.stopAll();
  return end;
}

async function judgeWorld(world: World, end: ScenarioEnd): Promise<Verdict> {
  const { evidence, databaseUrl, kafka, delivery } = world;
  await collectTables(evidence, databaseUrl);
  const open = await collectTopic(evidence, kafka);
  const exactlyOnce = delivery === 'exactly-once';
  const verdict = judge(evidence, { ...(exactlyOnce ? { duplicates: 0 } : {}), ...end.expectations });
  const memory = world.memory();
  const bounded = promise('I8: memory stays bounded', memory < MEMORY_LIMIT, `a relay had ${memory} MiB`);
  const ended = promise('no transaction stays open', !open, 'read_committed readers do not reach the end of the topic');
  const more = [...bounded, ...ended, ...(await verifyProjection(world)), ...(exactlyOnce ? await askJava(world) : [])];
  const { defects } = world.workload;
  const untold = defects.length === 0 ? [] : [{ rule: 'no error of ours', cases: defects.length, examples: defects }];
  return { ...verdict, violations: [...verdict.violations, ...untold, ...(end.violations ?? []), ...more] };
}

async function askJava({ evidence, kafka }: World): Promise<readonly Violation[]> {
  const { seen, missing, extra } = await compareWithJava(evidence, kafka);
  return promise(
    'witnesses disagree',
    missing === 0 && extra === 0,
    `Kafka's own consumer gave ${seen} records, of which we did not see ${missing}; ${extra} only we saw`,
  );
}

/** I9, and that the outbox says what the events say: by the program's own audit. */
async function verifyProjection({ code, databaseUrl }: World): Promise<readonly Violation[]> {
  const env = { ...process.env, DATABASE_URL: databaseUrl };
  const args = [join(code, 'src', 'bin', 'main.ts'), 'verify', '--json'];
  const child = spawn(process.execPath, args, { cwd: code, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = once(child, 'close');
  const [findings, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
  await closed;
  return promise('I9: genesis verify', child.exitCode === 0, `${findings.slice(0, 500)} ${errors.slice(-500)}`);
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message} (${describe(error.cause)})`;
}
