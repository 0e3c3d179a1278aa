import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { DeliveryMode } from '../../src/relay/ports.ts';
import { migrate } from '../../src/postgres/migrate.ts';
import { createReference, type Reference, type ReferenceFigures } from '../api/reference.ts';
import { pathOfProgram } from '../api/run-program.ts';
import { createSessions } from '../api/stage.ts';
import { Closing, runClosing } from '../closing.ts';
import { openGenesis, type Genesis } from '../genesis.ts';
import { median } from '../median.ts';
import { positive, readOptions, settings, whole } from '../options.ts';
import { saveChart, stack } from '../plot.ts';
import { openServers, type Servers } from '../servers.ts';
import { chartsOf } from './charts.ts';
import { LEAST_SECONDS } from './judge-run.ts';
import { applyLoad } from './load.ts';
import { runEndToEnd, type Run, type RunPlan } from './run.ts';
import { count, tellRun, tellVerdict } from './tell.ts';
import { verifyRun } from './verify.ts';

const USAGE = `npm run bench -- end-to-end   commands in over HTTP and records out to Kafka at once, between runs of pgbench's textbook transaction
       --seconds N       of a run (60; ${LEAST_SECONDS} at least)
       --rate N          commands per second (default: each connection sends its next when the last was answered)
       --connections N   (256)
       --rounds N        pgbench, then so often a run and pgbench again (1)
       --delivery MODE   at-least-once | exactly-once (default: both)
       --plot FILE       charts of the last run by seconds, as SVG
       --env NAME=VALUE  a setting of API and relay; may be repeated
Without --rate it looks for the highest rate that lasts: if the backlog of a run grew, the next runs at 90 % of what came out.`;

const MODES = ['at-least-once', 'exactly-once'] as const;
/** The reference's connections, and for how many seconds it runs each time, at most. */
const REFERENCE = { connections: 64, seconds: 10 };
/** Each has an author and a token of its own. */
const SESSIONS = 2_000;
/** Seconds that are not counted: code and plans are cold. */
const WARM_UP = 4;
/** When the backlog grew: so much of what came out is the next rate, and so many rates are tried. */
const STEP_DOWN = 0.9;
const MOST_STEPS = 3;

function parse(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: 'string', default: '60' },
      rate: { type: 'string' },
      connections: { type: 'string', default: '256' },
      rounds: { type: 'string', default: '1' },
      delivery: { type: 'string' },
      plot: { type: 'string' },
      env: { type: 'string', multiple: true, default: [] },
    },
  });
  const modes = MODES.filter((mode) => values.delivery === undefined || values.delivery === mode);
  if (modes.length === 0) throw new Error(`--delivery ${values.delivery}: it must be ${MODES.join(' or ')}`);
  const seconds = whole('seconds', values.seconds);
  if (seconds < LEAST_SECONDS) throw new Error(`--seconds ${seconds}: a run has ${LEAST_SECONDS} at least`);
  return {
    modes,
    seconds,
    rate: values.rate === undefined ? null : positive('rate', values.rate),
    connections: whole('connections', values.connections),
    rounds: whole('rounds', values.rounds),
    plot: values.plot === undefined ? null : resolve(values.plot),
    env: settings(values.env),
  };
}

type Options = ReturnType<typeof parse>;

/** `npm run bench -- end-to-end …`: tables for people, and one line of JSON per run. */
export async function benchmarkEndToEnd(args: readonly string[]): Promise<void> {
  const options = readOptions(USAGE, args, parse);
  if (options === null) return;
  pathOfProgram('wrk');
  pathOfProgram('pgbench');
  await runClosing(async (closing, folder) => {
    const servers = await openServers(closing, folder);
    const charts: string[] = [];
    for (const delivery of options.modes) {
      // A system of its own for each mode, and none left beside the next.
      const own = await closing.open(
        () => Promise.resolve(new Closing()),
        (system) => system.end(),
      );
      const last = await measure(own, servers, delivery, options);
      charts.push(...chartsOf(delivery, last));
      await own.end();
    }
    if (options.plot !== null) saveChart(options.plot, stack(charts));
  });
}

/** Gives the last run. @throws Error when a command was lost, or topic and tables differ */
async function measure(closing: Closing, servers: Servers, delivery: DeliveryMode, options: Options): Promise<Run> {
  const name = delivery.replaceAll('-', '_');
  console.log(`\n== ${delivery}`);
  const genesis = await openGenesis(closing, servers, { name, delivery, env: options.env });
  const sessionsFile = join(servers.folder, `${name}-sessions.tsv`);
  writeFileSync(sessionsFile, (await createSessions(genesis.api.address, genesis.secret, SESSIONS)).join('\n'));
  const answersFile = join(servers.folder, `${name}-answers.txt`);
  const { connections, seconds } = options;
  const plan = { sessionsFile, answersFile, connections, seconds, rate: options.rate };
  const loads = [await applyLoad({ address: genesis.api.address, ...plan, seconds: WARM_UP })];
  const reference = await openReference(servers, genesis, name);
  const refer = () => reference.run('textbook', REFERENCE.connections, Math.min(REFERENCE.seconds, seconds));
  const references = [await refer()];
  const runs: Run[] = [];
  let last: Run;
  let rate = options.rate;
  do {
    const tried = await untilLasting(servers, genesis, { ...plan, rate }, options.rate !== null);
    loads.push(...tried.runs.map(({ load }) => load));
    ({ last } = tried);
    ({ rate } = last);
    runs.push(last);
    references.push(await refer());
  } while (runs.length < options.rounds);
  const accepted = loads.reduce((sum, load) => sum + load.accepted, 0);
  const underway = loads.length * connections;
  const verdict = await verifyRun(genesis.database, genesis.kafka, { answersFile, accepted, underway });
  tellVerdict(verdict);
  summarise(servers, { delivery, connections, runs, references });
  console.log(JSON.stringify({ benchmark: 'end-to-end', delivery, verdict }));
  const { withoutRow, withoutEvent, differences } = verdict;
  if (withoutRow + withoutEvent + differences > 0) throw new Error('something was lost or differs: see above');
  return last;
}

/** In a database of its own, by texts as long as those of a command. */
async function openReference(servers: Servers, genesis: Genesis, name: string): Promise<Reference> {
  const url = await servers.postgres.createDatabase(`${name}_reference`);
  await migrate(url);
  return createReference(genesis.databaseUrl, { url, postmaster: servers.postgres.pid() }, servers.folder);
}

interface Tried {
  readonly runs: readonly Run[];
  readonly last: Run;
}

/** Runs until one's backlog does not grow, or no lower rate is tried: the last is the one. @param fixed The rate is given. */
async function untilLasting(servers: Servers, genesis: Genesis, plan: RunPlan, fixed: boolean): Promise<Tried> {
  const runs: Run[] = [];
  for (let { rate } = plan; ;) {
    const last = await runEndToEnd(servers, genesis, { ...plan, rate });
    tellRun(last);
    runs.push(last);
    if (last.judgement.bounded || fixed || runs.length > MOST_STEPS) return { runs, last };
    rate = Math.floor(last.judgement.sentPerSecond * STEP_DOWN);
  }
}

interface Measured {
  readonly delivery: DeliveryMode;
  readonly connections: number;
  readonly runs: readonly Run[];
  readonly references: readonly ReferenceFigures[];
}

function summarise({ machine }: Servers, { delivery, connections, runs, references }: Measured): void {
  const textbook = median(references.map(({ perSecond }) => perSecond));
  // What goes in and comes out, whichever is less.
  const through = (run: Run): number => Math.min(run.judgement.committedPerSecond, run.judgement.sentPerSecond);
  const perSecond = median(runs.map(through));
  const told = references.map((figures) => count(figures.perSecond)).join(', ');
  console.log(
    `pgbench, textbook: ${told}/s; end to end ${count(perSecond)}/s: ratio ${(perSecond / textbook).toFixed(2)}` +
      ` (${runs.every(({ judgement }) => judgement.bounded) ? 'backlog bounded' : 'THE BACKLOG GREW'})`,
  );
  for (const run of runs) console.log(JSON.stringify({ benchmark: 'end-to-end', delivery, connections, ...run }));
  const ratio = perSecond / textbook;
  const cpuRatio =
    median(references.map(({ cpu }) => cpu.postgres + cpu.load)) / median(runs.map((run) => cpuOfAnEvent(run)));
  console.log(
    `CPU time of a textbook transaction to that of an event, all processes and load generators: ${cpuRatio.toFixed(2)}`,
  );
  const rates = references.map((figures) => Math.round(figures.perSecond));
  console.log(
    JSON.stringify({ benchmark: 'end-to-end', delivery, perSecond, textbook: rates, ratio, cpuRatio, machine }),
  );
}

/** Microseconds from the request to the marked row, the load generator's too. */
function cpuOfAnEvent({ judgement: { first, last }, load }: Run): number {
  return (first.cpuOfAll + last.cpuOfAll) / 2 + load.cpu / load.accepted;
}
