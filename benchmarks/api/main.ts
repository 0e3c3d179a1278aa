import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { runClosing } from '../closing.ts';
import { describeMachine } from '../machine.ts';
import { median } from '../median.ts';
import { readOptions, settings, whole } from '../options.ts';
import { lineChart, saveChart } from '../plot.ts';
import { applyLoad, type LoadFigures } from './load.ts';
import { benchmarkOpenLoop, OPEN_LOOP_USAGE } from './open-loop.ts';
import { createReference, type Reference, type ReferenceFigures } from './reference.ts';
import { pathOfProgram } from './run-program.ts';
import { openStage, type Stage } from './stage.ts';
import { openUpkeep, type Upkeep } from './upkeep.ts';

const USAGE = `npm run bench -- api          commands over HTTP beside pgbench with the textbook transaction, in turns
       --rounds N        of all of them (3)
       --seconds N       of each (5)
       --connections N,… of the API (1,16,64,256)
       --quick           one round of 3 s, 1 and 64 connections
       --plot FILE       a chart of the medians, as SVG
       --cpu-profile DIR where Node writes a CPU profile of the API
       --env NAME=VALUE  a setting of the API; may be repeated`;

/** The reference's connections: what the ratios of 64 and more are of. */
const REFERENCE_CONNECTIONS = 64;
/** One wrk thread and its sessions; more than any number of connections, so that two commands seldom meet. */
const SESSIONS = 2_000;
/** Seconds that are not counted: code and plans are cold. */
const WARM_UP = 4;

function parse(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '5' },
      connections: { type: 'string', default: '1,16,64,256' },
      quick: { type: 'boolean', default: false },
      plot: { type: 'string' },
      'cpu-profile': { type: 'string' },
      env: { type: 'string', multiple: true, default: [] },
    },
  });
  const profile = values['cpu-profile'];
  return {
    rounds: values.quick ? 1 : whole('rounds', values.rounds),
    seconds: values.quick ? 3 : whole('seconds', values.seconds),
    connections: values.quick
      ? [1, REFERENCE_CONNECTIONS]
      : values.connections.split(',').map((text) => whole('connections', text)),
    plot: values.plot === undefined ? null : resolve(values.plot),
    nodeOptions: profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', resolve(profile)],
    env: settings(values.env),
  };
}

type Options = ReturnType<typeof parse>;

/** `npm run bench -- api …`: a table for people, and one line of JSON. */
export async function benchmarkApi(args: readonly string[]): Promise<void> {
  if (args[0] === 'open-loop') return benchmarkOpenLoop(args.slice(1));
  const options = readOptions(`${USAGE}\n\n${OPEN_LOOP_USAGE}`, args, parse);
  if (options === null) return undefined;
  // What is missing is told before anything is started.
  pathOfProgram('wrk');
  pathOfProgram('pgbench');
  const { env, nodeOptions } = options;
  return runClosing(async (closing, folder) => {
    const stage = await openStage(closing, { folder, sessions: SESSIONS, env, nodeOptions });
    await measure(stage, await openUpkeep(closing, stage), options);
  });
}

interface Rounds {
  readonly api: KeptUp<LoadFigures>[];
  readonly textbook: KeptUp<ReferenceFigures>[];
  readonly oneStatement: KeptUp<ReferenceFigures>[];
  readonly alone: KeptUp<ReferenceFigures>[];
}

async function measure(stage: Stage, upkeep: Upkeep, { rounds, seconds, connections, plot }: Options): Promise<void> {
  await applyLoad(stage, REFERENCE_CONNECTIONS, WARM_UP);
  const reference = await createReference(
    stage.databaseUrl,
    { url: stage.referenceUrl, postmaster: stage.postmaster },
    stage.folder,
  );
  await reference.run('textbook', REFERENCE_CONNECTIONS, WARM_UP);
  const loads = keptUp(stage, reference, upkeep);
  await loads.keepUp();
  const figures: Rounds = { api: [], textbook: [], oneStatement: [], alone: [] };
  for (let round = 0; round < rounds; round += 1) await runRound(loads, { connections, seconds, figures });
  const machine = await describeMachine(stage.databaseUrl);
  const summary = summarise(figures, connections);
  console.log(JSON.stringify({ benchmark: 'api', ...summary, machine }));
  if (plot !== null) saveChart(plot, chartOf(summary));
}

/** A load, and the CPU time that upkeep took afterwards, in microseconds for each command or transaction. */
type KeptUp<Figures> = Figures & { readonly upkeep: number };

interface Loads {
  api(connections: number, seconds: number): Promise<KeptUp<LoadFigures>>;
  reference(...load: Parameters<Reference['run']>): Promise<KeptUp<ReferenceFigures>>;
  /** Of both databases. */
  keepUp(): Promise<void>;
}

function keptUp(stage: Stage, reference: Reference, upkeep: Upkeep): Loads {
  return {
    async api(connections, seconds) {
      const figures = await applyLoad(stage, connections, seconds);
      return { ...figures, upkeep: (await upkeep.after('api')) / (figures.perSecond * seconds) };
    },
    async reference(script, connections, seconds) {
      const figures = await reference.run(script, connections, seconds);
      return { ...figures, upkeep: (await upkeep.after('reference')) / (figures.perSecond * seconds) };
    },
    async keepUp() {
      await upkeep.after('api');
      await upkeep.after('reference');
    },
  };
}

interface Plan {
  readonly connections: readonly number[];
  readonly seconds: number;
  readonly figures: Rounds;
}

/** All of them in turns, so that whatever else the machine does hits all. */
async function runRound(loads: Loads, { connections, seconds, figures }: Plan): Promise<void> {
  for (const count of connections) {
    const measured = await loads.api(count, seconds);
    tell(measured);
    figures.api.push(measured);
    if (count === 1) {
      figures.alone.push(tellReference('textbook, alone', await loads.reference('textbook', 1, seconds)));
    } else if (count >= REFERENCE_CONNECTIONS || !connections.some((other) => other >= REFERENCE_CONNECTIONS)) {
      figures.textbook.push(
        tellReference('textbook', await loads.reference('textbook', REFERENCE_CONNECTIONS, seconds)),
      );
    }
  }
  figures.oneStatement.push(
    tellReference('one statement', await loads.reference('one-statement', REFERENCE_CONNECTIONS, seconds)),
  );
}

function tell({ connections, perSecond, refused, p50, p99, cpu, busy, upkeep }: KeptUp<LoadFigures>): void {
  const share = (value: number): string => `${Math.round(value * 100)} %`;
  console.log(
    [
      `API, ${connections} connections`.padEnd(24),
      `${Math.round(perSecond)}/s`.padStart(9),
      `p50 ${p50.toFixed(1)} p99 ${p99.toFixed(1)} ms`.padStart(26),
      `CPU µs each: API ${cpu.api} PostgreSQL ${cpu.postgres} + ${Math.round(upkeep)} wrk ${cpu.load}`.padStart(60),
      `API ${share(busy.api)} wrk ${share(busy.load)} of a core`.padStart(30),
      refused === 0 ? '' : `  ${refused} REFUSED`,
    ].join(''),
  );
}

function tellReference(name: string, figures: KeptUp<ReferenceFigures>): KeptUp<ReferenceFigures> {
  const rate = `${Math.round(figures.perSecond)}/s`;
  const cpu = `CPU µs each: PostgreSQL ${Math.round(figures.cpu.postgres)} + ${Math.round(figures.upkeep)} pgbench ${Math.round(figures.cpu.load)}`;
  console.log(
    [
      `pgbench, ${name}`.padEnd(24),
      rate.padStart(9),
      `mean ${figures.latency.toFixed(2)} ms`.padStart(24),
      cpu.padStart(52),
    ].join(''),
  );
  return figures;
}

function summarise(figures: Rounds, connections: readonly number[]) {
  const rate = (runs: readonly ReferenceFigures[]): number => median(runs.map((run) => run.perSecond));
  const textbook = rate(figures.textbook);
  const textbookCpu = median(figures.textbook.map(({ cpu, upkeep }) => cpu.postgres + upkeep + cpu.load));
  const alone = median(figures.alone.map((run) => run.latency));
  return {
    textbook: Math.round(textbook),
    textbookCpu: Math.round(textbookCpu),
    textbookUpkeep: round(median(figures.textbook.map(({ upkeep }) => upkeep))),
    oneStatement: Math.round(rate(figures.oneStatement)),
    textbookAloneMs: round(alone),
    api: connections.map((count) => {
      const runs = figures.api.filter((run) => run.connections === count);
      const of = (value: (run: KeptUp<LoadFigures>) => number): number => round(median(runs.map(value)));
      return {
        connections: count,
        perSecond: Math.round(of((run) => run.perSecond)),
        ratio: textbook === 0 ? null : round(of((run) => run.perSecond) / textbook),
        // What the ratio would be on a machine that has nothing else to do and no core idle.
        cpuRatio: round(textbookCpu / of(({ cpu, upkeep }) => cpu.api + cpu.postgres + upkeep + cpu.load)),
        p50: of((run) => run.p50),
        p99: of((run) => run.p99),
        refused: of((run) => run.refused),
        cpu: {
          api: of((run) => run.cpu.api),
          postgres: of((run) => run.cpu.postgres),
          upkeep: of((run) => run.upkeep),
          load: of((run) => run.cpu.load),
        },
      };
    }),
  };
}

/** The rates by connections, and those of pgbench as lines to compare with. */
function chartOf({ api, textbook, oneStatement }: ReturnType<typeof summarise>): string {
  const counts = api.map(({ connections }) => connections);
  const level = (name: string, rate: number) => ({
    name: `${name}, ${REFERENCE_CONNECTIONS} connections`,
    data: [Math.min(...counts), Math.max(...counts)].map((count) => [count, rate] as const),
  });
  return lineChart({
    title: 'Commands over HTTP beside pgbench on the same PostgreSQL',
    x: { label: 'connections of the API (logarithmic)', ticks: counts, logarithmic: true },
    y: { label: 'per second' },
    series: [
      { name: 'API', data: api.map(({ connections, perSecond }) => [connections, perSecond] as const) },
      level('pgbench, textbook', textbook),
      level('pgbench, one statement', oneStatement),
    ],
  });
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
