import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { VARIABLES } from '../../src/variables.ts';
import { runClosing, type Closing } from '../closing.ts';
import { describeMachine } from '../machine.ts';
import { positive, readOptions, settings, whole } from '../options.ts';
import { saveChart } from '../plot.ts';
import { applyLoad, COMMAND_BODY, spent, type LoadFigures } from './load.ts';
import type { OpenLoopFigures } from './open-loop-load.ts';
import { startGenerator } from './open-loop-process.ts';
import { chartOf, tellHalf, tellReference, tellTwice } from './open-loop-report.ts';
import { watchApi, type Observation } from './open-loop-watch.ts';
import { createReference, type ReferenceLatency } from './reference.ts';
import { pathOfProgram } from './run-program.ts';
import { openStage, type Stage } from './stage.ts';

export const OPEN_LOOP_USAGE = `npm run bench -- api open-loop   commands at a constant rate, whatever is answered: at half of the maximum, then at twice the
                                  maximum; pgbench's textbook transaction at half of its own in between
       --seconds N       of each (30)
       --maximum N       accepted commands per second that are possible (default: measured before, after 15 s that do not count, and after by wrk, 5 s each,
                         64 and 256 connections that send their next command when the last was answered)
       --connections N   kept open at twice the maximum (4096; at half of it 256). Fewer than COMMAND_QUEUE_MAX never fill the
                         queue: commands then wait in the load generator, and nothing is refused
       --plot FILE       charts of latency, answers and memory, as SVG
       --env NAME=VALUE  a setting of the API; may be repeated`;

/** As many as for the closed loop, so that the rates compare. */
const SESSIONS = 2_000;
const CLOSED_LOOP = { connections: [64, 256], seconds: 5 };
const CONNECTIONS_AT_HALF = 256;
const REFERENCE_CONNECTIONS = 64;
/** Seconds that are not counted: code and plans are cold, and the first seconds of a virtual machine are quicker than what it can keep up. */
const WARM_UP = 15;

function parse(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: 'string', default: '30' },
      maximum: { type: 'string' },
      connections: { type: 'string', default: '4096' },
      plot: { type: 'string' },
      env: { type: 'string', multiple: true, default: [] },
    },
  });
  const env = settings(values.env);
  return {
    seconds: whole('seconds', values.seconds),
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

async function measure(closing: Closing, stage: Stage, options: Options): Promise<void> {
  const { seconds, connections, requestTimeout } = options;
  const before = options.maximum ?? (await closedLoop(stage, true));
  const load = { seconds, requestTimeout };
  // Who tells the maximum leaves out the load that would have made it warm.
  if (options.maximum !== null) {
    await offer(closing, stage, { ...load, seconds: WARM_UP, rate: before / 2, connections: CONNECTIONS_AT_HALF });
  }
  const half = await offer(closing, stage, { ...load, rate: before / 2, connections: CONNECTIONS_AT_HALF });
  tellHalf(half);
  const reference = await referenceAtHalf(stage, seconds);
  tellReference(reference);
  const twice = await offer(closing, stage, { ...load, rate: before * 2, connections });
  // The machine may have become slower or faster meanwhile.
  const after = options.maximum ?? (await closedLoop(stage, false));
  const maximum = (before + after) / 2;
  tellTwice(twice, maximum);
  const machine = await describeMachine(stage.databaseUrl);
  console.log(
    JSON.stringify({ benchmark: 'api', part: 'open-loop', maximum, before, after, half, reference, twice, machine }),
  );
  if (options.plot !== null) saveChart(options.plot, chartOf(half, twice, maximum));
}

/** The most that is accepted per second. */
async function closedLoop(stage: Stage, isCold: boolean): Promise<number> {
  if (isCold) await applyLoad(stage, Math.max(...CLOSED_LOOP.connections), WARM_UP);
  await checkpoint(stage.databaseUrl);
  const runs: LoadFigures[] = [];
  for (const connections of CLOSED_LOOP.connections) {
    const run = await applyLoad(stage, connections, CLOSED_LOOP.seconds);
    const { perSecond, p50, p99 } = run;
    console.log(
      `closed loop, ${connections} connections: ${Math.round(perSecond)}/s, p50 ${p50.toFixed(1)} p99 ${p99.toFixed(1)} ms`,
    );
    runs.push(run);
  }
  return Math.max(...runs.map(({ perSecond }) => perSecond));
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
  await reference.run('textbook', REFERENCE_CONNECTIONS, WARM_UP);
  const most = await reference.run('textbook', REFERENCE_CONNECTIONS, CLOSED_LOOP.seconds);
  await checkpoint(stage.referenceUrl);
  const perSecond = most.perSecond / 2;
  return { perSecond, seconds, ...(await reference.runAtRate(perSecond, REFERENCE_CONNECTIONS, seconds)) };
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
