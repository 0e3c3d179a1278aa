import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { VARIABLES } from '../../src/variables.ts';
import { runClosing, type Closing } from '../closing.ts';
import { describeMachine } from '../machine.ts';
import { mean, median } from '../median.ts';
import { positive, readOptions, settings, whole } from '../options.ts';
import { saveChart } from '../plot.ts';
import { applyLoad, COMMAND_BODY, spent } from './load.ts';
import type { OpenLoopFigures } from './open-loop-load.ts';
import { startGenerator } from './open-loop-process.ts';
import { chartOf, middleOf, shareOf, tellHalf, tellReference, tellRounds, tellTwice } from './open-loop-report.ts';
import { watchApi, type Observation } from './open-loop-watch.ts';
import { createReference, type ReferenceLatency } from './reference.ts';
import { pathOfProgram } from './run-program.ts';
import { openStage, type Stage } from './stage.ts';

export const OPEN_LOOP_USAGE = `npm run bench -- api open-loop   commands at a constant rate, whatever is answered: at twice the maximum, which is measured before and
                                  after each time, then at half of it; pgbench's textbook transaction at half of its own
       --seconds N       of each (30)
       --rounds N        of twice the maximum (3)
       --maximum N       accepted commands per second that are possible (default: measured, after 15 s that do not count, by wrk with 256 connections
                         that send their next command when the last was answered)
       --connections N   kept open at twice the maximum (4096; at half of it 256). Fewer than COMMAND_QUEUE_MAX never fill the
                         queue: commands then wait in the load generator, and nothing is refused
       --plot FILE       charts of latency, answers and memory, as SVG
       --env NAME=VALUE  a setting of the API; may be repeated`;

/** As many as for the closed loop, so that the rates compare. */
const SESSIONS = 2_000;
/** What takes the most out of the API in a closed loop, as `npm run bench -- api` shows. */
const CLOSED_LOOP_CONNECTIONS = 256;
const CONNECTIONS_AT_HALF = 256;
const REFERENCE = { connections: 64, seconds: 5 };
/** Seconds that are not counted: code and plans are cold, and the first seconds of a virtual machine are quicker than what it can keep up. */
const WARM_UP = 15;

function parse(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: 'string', default: '30' },
      rounds: { type: 'string', default: '3' },
      maximum: { type: 'string' },
      connections: { type: 'string', default: '4096' },
      plot: { type: 'string' },
      env: { type: 'string', multiple: true, default: [] },
    },
  });
  const env = settings(values.env);
  return {
    seconds: whole('seconds', values.seconds),
    rounds: whole('rounds', values.rounds),
    maximum: values.maximum === undefined ? null : positive('maximum', values.maximum),
    connections: whole('connections', values.connections),
    plot: values.plot === undefined ? null : resolve(values.plot),
    env,
    /** Milliseconds. */
    requestTimeout:
      positive('env REQUEST_TIMEOUT', env['REQUEST_TIMEOUT'] ?? VARIABLES.REQUEST_TIMEOUT.default) * 1_000,
  };
}

type Options = ReturnType<typeof parse>;

/** What one load did to the API. */
export interface Offered {
  /** Commands per second. */
  readonly rate: number;
  readonly seconds: number;
  readonly connections: number;
  /** Milliseconds until the API must have answered. */
  readonly requestTimeout: number;
  readonly figures: OpenLoopFigures;
  /** Microseconds of CPU for each request sent. */
  readonly cpu: { readonly api: number; readonly postgres: number };
  readonly observations: readonly Observation[];
}

/** `npm run bench -- api open-loop …`: what people read, and one line of JSON. */
export async function benchmarkOpenLoop(args: readonly string[]): Promise<void> {
  const options = readOptions(OPEN_LOOP_USAGE, args, parse);
  if (options === null) return;
  // What is missing is told before anything is started.
  if (options.maximum === null) pathOfProgram('wrk');
  pathOfProgram('pgbench');
  await runClosing(async (closing, folder) => {
    const stage = await openStage(closing, { folder, sessions: SESSIONS, env: options.env, nodeOptions: [] });
    await measure(closing, stage, options);
  });
}

/** Twice the maximum, and the maximum before and after it: the machine may have become slower or faster meanwhile. */
export interface Round {
  /** Accepted commands per second in a closed loop. */
  readonly before: number;
  readonly twice: Offered;
  readonly after: number;
}

async function measure(closing: Closing, stage: Stage, options: Options): Promise<void> {
  const { seconds, requestTimeout } = options;
  const rounds = await offerTwice(closing, stage, options);
  const maximum = mean(rounds.flatMap(({ before, after }) => [before, after]));
  tellRounds(rounds);
  const half = await offer(closing, stage, {
    seconds,
    requestTimeout,
    rate: maximum / 2,
    connections: CONNECTIONS_AT_HALF,
  });
  tellHalf(half);
  const reference = await referenceAtHalf(stage, seconds);
  tellReference(reference);
  const machine = await describeMachine(stage.databaseUrl);
  const goodput = median(rounds.map(shareOf));
  console.log(
    JSON.stringify({ benchmark: 'api', part: 'open-loop', maximum, goodput, rounds, half, reference, machine }),
  );
  if (options.plot !== null) saveChart(options.plot, chartOf(half, middleOf(rounds)));
}

async function offerTwice(closing: Closing, stage: Stage, options: Options): Promise<readonly Round[]> {
  const { seconds, connections, requestTimeout, maximum } = options;
  const load = { seconds, requestTimeout, connections };
  if (maximum === null) await applyLoad(stage, CLOSED_LOOP_CONNECTIONS, WARM_UP);
  else {
    const warmUp = { rate: maximum / 2, seconds: WARM_UP, connections: CONNECTIONS_AT_HALF };
    await offer(closing, stage, { ...load, ...warmUp });
  }
  const rounds: Round[] = [];
  let before = maximum ?? (await closedLoop(stage, seconds));
  for (let round = 0; round < options.rounds; round += 1) {
    const twice = await offer(closing, stage, { ...load, rate: before * 2 });
    const after = maximum ?? (await closedLoop(stage, seconds));
    rounds.push({ before, twice, after });
    tellTwice({ before, twice, after });
    before = after;
  }
  return rounds;
}

/** The most that is accepted per second. */
async function closedLoop(stage: Stage, seconds: number): Promise<number> {
  await checkpoint(stage.databaseUrl);
  const { perSecond, p50, p99 } = await applyLoad(stage, CLOSED_LOOP_CONNECTIONS, seconds);
  console.log(
    `\nclosed loop, ${CLOSED_LOOP_CONNECTIONS} connections: ${Math.round(perSecond)}/s, p50 ${p50.toFixed(1)} p99 ${p99.toFixed(1)} ms`,
  );
  return perSecond;
}

type Load = Pick<Offered, 'rate' | 'seconds' | 'connections' | 'requestTimeout'>;

async function offer(closing: Closing, stage: Stage, load: Load): Promise<Offered> {
  await checkpoint(stage.databaseUrl);
  const { address } = stage.api;
  const { sessionsFile } = stage;
  const plan = { ...load, address, sessionsFile, body: COMMAND_BODY, patience: load.requestTimeout };
  const generator = await closing.open(
    () => startGenerator(plan),
    (running) => running.stop(),
  );
  const watching = new AbortController();
  const observing = watchApi(stage.api, watching.signal);
  // That it ends well is no news before it is asked to.
  const failing = observing.then(() => new Promise<never>(() => {}));
  const before = spent(stage);
  try {
    const figures = await Promise.race([generator.run(), failing]);
    const after = spent(stage);
    const each = (part: 'api' | 'postgres'): number => (after[part] - before[part]) / Math.max(1, figures.sent);
    watching.abort();
    const cpu = { api: each('api'), postgres: each('postgres') };
    return { ...load, figures, cpu, observations: await observing };
  } finally {
    watching.abort();
    await Promise.allSettled([observing]);
    await generator.stop();
  }
}

/** pgbench at half of what it reaches. */
export interface ReferenceAtHalf extends ReferenceLatency {
  readonly perSecond: number;
  readonly seconds: number;
}

/** What the same machine makes of the textbook transaction at half of its maximum, in the same minutes. */
async function referenceAtHalf(stage: Stage, seconds: number): Promise<ReferenceAtHalf> {
  const target = { url: stage.referenceUrl, postmaster: stage.postmaster };
  const reference = await createReference(stage.databaseUrl, target, stage.folder);
  await reference.run('textbook', REFERENCE.connections, WARM_UP);
  const most = await reference.run('textbook', REFERENCE.connections, REFERENCE.seconds);
  await checkpoint(stage.referenceUrl);
  const perSecond = most.perSecond / 2;
  return { perSecond, seconds, ...(await reference.runAtRate(perSecond, REFERENCE.connections, seconds)) };
}

/** What the load before left to be written to disk is not charged to the next one. */
async function checkpoint(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query('CHECKPOINT');
  } finally {
    await client.end();
  }
}
