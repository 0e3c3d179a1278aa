import { setTimeout as delay } from 'node:timers/promises';
import { Command, InvalidArgumentError } from 'commander';
import { TransactionConflict } from '../commands/ports.ts';
import { loadConfig, type KafkaConfig } from '../config.ts';
import { rebuild } from '../events/rebuild.ts';
import type { RecoverStore } from '../operations/ports.ts';
import { RECOVER_PROBLEMS, type RecoverProblem } from '../operations/recover-problems.ts';
import { recover, type RecoverResult } from '../operations/recover.ts';
import { createAuditStore } from '../postgres/audit-store.ts';
import { createRecoverStore } from '../postgres/operations-recover.ts';
import { createRead } from '../postgres/read.ts';
import { readSettings } from '../postgres/settings.ts';
import { interrupted } from './interrupted.ts';
import { outputOf, type Output } from './output.ts';
import { counted, Progress } from './progress.ts';
import { factOf as rebuildFact } from './rebuild.ts';
import { WHICH_DATABASE, withDatabase } from './with-database.ts';
import { kafkaConfig, WHICH_CLUSTER, withTopic } from './with-topic.ts';

type Environment = Readonly<Record<string, string | undefined>>;

interface RecoverCommandOptions {
  readonly fromTopic?: true;
  readonly from?: ReadonlyMap<number, bigint>;
  readonly yes?: true;
  readonly acceptLoss?: true;
  readonly json?: true;
}

const HELP = `
For a database that was restored from a backup, or lost its last transactions in a failover: the topic holds every event that was
published, whole. Without --yes it only says what it would do. While events are missing commands answer 503 and nothing is published.
It can be ended and run again at any time. Exit code: 0 done, or shown · 1 something cannot be brought back (each session is told, with
why), or it was ended before it was done · 2 wrong usage. With --json one line per session that cannot be brought back, then {"ahead",
"records","imported","commands","problems","strangers","dry_run","taken_again"}. Before you run it, read docs/operations/recover.md`;

/** How often a step is tried that met a lock, and the pause between two tries in milliseconds. */
const ATTEMPTS = 20;
const PAUSE = 500;

/** `genesis recover` */
export function recoverCommand(env: Environment): Command {
  return new Command('recover')
    .description('bring back from the topic what a restored database lacks, so that commands are taken again')
    .requiredOption('--from-topic', 'read the committed records of the topic (there is no other source)')
    .option('--from <partition:offset...>', 'begin there in these partitions, not at their beginning', collectFrom)
    .option('--yes', 'do it')
    .option(
      '--accept-loss',
      'take commands again although something cannot be brought back; only while no relay is alive',
    )
    .option('--json', 'lines of JSON')
    .addHelpText('after', `${HELP}${WHICH_DATABASE}${WHICH_CLUSTER}`)
    .action(async (options: RecoverCommandOptions) => {
      const whole = await withDatabase(env, 'genesis-recover', async (pool) => {
        const { shards } = await readSettings(createRead(pool, 10_000));
        const kafka = await kafkaConfig(env);
        const { generationTimeout } = loadConfig(env, 'tool').commands;
        const store = createRecoverStore(pool, { topic: kafka.topic, shards, generationTimeout });
        return run(options, {
          store: patient(store),
          projections: createAuditStore(pool),
          kafka,
          output: outputOf(options),
        });
      });
      if (!whole) process.exitCode = 1;
    });
}

interface Sources {
  readonly store: RecoverStore;
  readonly projections: ReturnType<typeof createAuditStore>;
  readonly kafka: KafkaConfig;
  readonly output: Output;
}

/** Whether nothing is missing any more, or nothing was to be done. */
async function run(options: RecoverCommandOptions, sources: Sources): Promise<boolean> {
  const { store, kafka, output } = sources;
  const signal = interrupted();
  const dryRun = options.yes !== true;
  if (options.acceptLoss && !dryRun) await refuseBesideRelays(store);
  const ahead = await store.isAhead();
  output.say(ahead ? AHEAD : NOT_AHEAD);
  const result = await withTopic(kafka, 'genesis-recover', (topic) =>
    readAll({ store, topic, from: options.from ?? new Map<number, bigint>(), dryRun, signal }, output),
  );
  output.say(summary(result, dryRun));
  const problems = dryRun ? result.problems : await bringBack(options, sources, result, signal);
  const { records, imported, commands, strangers } = result;
  const takenAgain = !dryRun && (problems === 0 || options.acceptLoss === true);
  output.tell({ ahead, records, imported, commands, problems, strangers, dry_run: dryRun, taken_again: takenAgain });
  if (dryRun) output.say('nothing was written; with --yes it is done');
  return dryRun || problems === 0;
}

/** Makes the sessions what their events say, and lets commands in again unless something is missing. Gives how many sessions lack something. */
async function bringBack(
  options: RecoverCommandOptions,
  sources: Sources,
  result: RecoverResult,
  signal: AbortSignal,
): Promise<number> {
  const { store, output } = sources;
  const problems = result.problems + (await rebuildAll(sources, signal));
  if (problems > 0 && options.acceptLoss !== true) {
    output.say(LEFT);
    return problems;
  }
  if (options.acceptLoss) await refuseBesideRelays(store);
  await store.settle(result.partitions);
  output.say('commands are taken again; check with `npx genesis verify` and `npx genesis reconcile`');
  return problems;
}

/** A relay that met what is given up has its own idea of how far its partition is known: it would report that again, and stay where it is. */
async function refuseBesideRelays(store: RecoverStore): Promise<void> {
  const alive = await store.relaysAlive();
  if (alive.length === 0) return;
  throw new Error(
    `--accept-loss needs that no relay is alive, but ${alive.join(', ')} is: end all relays, run this again, then start them ` +
      '(one that was killed counts for five seconds more)',
  );
}

const AHEAD = 'the topic is ahead of the database: commands are refused';
const NOT_AHEAD = 'no relay has found the topic to be ahead of the database';
const LEFT =
  'commands stay refused, because something could not be brought back: mend it and run this again, or say --accept-loss (docs/operations/recover.md)';

async function readAll(
  options: Omit<Parameters<typeof recover>[0], 'onProblem' | 'onProgress'>,
  { say, tell }: Output,
): Promise<RecoverResult> {
  const bar: { progress?: Progress } = {};
  const result = await recover({
    ...options,
    onProblem: (problem) => {
      bar.progress?.clear();
      say(describe(problem));
      tell(factOf(problem));
    },
    onProgress: ({ imported }, done, total) => {
      bar.progress ??= new Progress({ stream: process.stderr, total, unit: 'record', now: () => performance.now() });
      bar.progress.update(done, `${counted(imported, 'event')} missing in the database`);
    },
  });
  bar.progress?.clear();
  return result;
}

/** Makes the sessions what their events say. Gives how many could not be. */
async function rebuildAll({ projections: store, output }: Sources, signal: AbortSignal): Promise<number> {
  const progress = new Progress({
    stream: process.stderr,
    total: await store.countSessions(),
    unit: 'session',
    now: () => performance.now(),
  });
  const { rebuilt, problems } = await rebuild({
    store,
    sessionId: null,
    after: null,
    dryRun: false,
    onRebuilt: () => undefined,
    onProblem: (problem) => {
      progress.clear();
      const fact = unfoldedFact(problem);
      output.say(
        `${fact.code}  session ${fact.session_id}\n  ${fact.meaning}${fact.detail === '' ? '' : `: ${fact.detail}`}\n  → ${fact.mend}`,
      );
      output.tell(fact);
    },
    onProgress: ({ sessions, events }) => progress.update(sessions, counted(events, 'event')),
    signal,
  });
  progress.clear();
  output.say(`rebuilt ${counted(rebuilt, 'session')}`);
  return problems;
}

/** A row that somebody else has locked is waited for. */
function patient(store: RecoverStore): RecoverStore {
  const retry = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof TransactionConflict) || attempt === ATTEMPTS) throw error;
        await delay(PAUSE);
      }
    }
  };
  return {
    look: (places) => retry(() => store.look(places)),
    step: (places, plan) => retry(() => store.step(places, plan)),
    settle: (partitions) => retry(() => store.settle(partitions)),
    isAhead: () => store.isAhead(),
    relaysAlive: () => store.relaysAlive(),
  };
}

function unfoldedFact(problem: Parameters<typeof rebuildFact>[0]) {
  return problem.code === 'BUSY' ? { ...rebuildFact(problem), mend: 'run this again' } : rebuildFact(problem);
}

function factOf({ code, sessionId, sequence, eventId, partition, offset }: RecoverProblem) {
  const { meaning, remedy } = RECOVER_PROBLEMS[code];
  return {
    code,
    session_id: sessionId,
    from_version: sequence,
    event_id: eventId,
    partition,
    offset: String(offset),
    meaning,
    mend: remedy,
  };
}

function describe({ code, sessionId, sequence, eventId, partition, offset }: RecoverProblem): string {
  const { meaning, remedy } = RECOVER_PROBLEMS[code];
  return `${code}  session ${sessionId} from version ${sequence} on (event ${eventId}, partition ${partition} offset ${offset})\n  ${meaning}\n  → ${remedy}`;
}

function summary({ records, imported, commands, problems, strangers }: RecoverResult, dryRun: boolean): string {
  const parts = [
    `${counted(records, 'record')} read`,
    dryRun
      ? `${counted(imported, 'event')} missing in the database would be imported`
      : `${counted(imported, 'event')} and ${counted(commands, 'command')} imported`,
    ...(problems === 0 ? [] : [`${counted(problems, 'session')} cannot be brought back wholly`]),
    ...(strangers === 0 ? [] : [`${counted(strangers, 'record')} of no event passed over`]),
  ];
  return parts.join('; ');
}

function collectFrom(
  value: string,
  before: ReadonlyMap<number, bigint> = new Map<number, bigint>(),
): ReadonlyMap<number, bigint> {
  const [, partition, offset] = /^(\d{1,6}):(\d{1,18})$/u.exec(value) ?? [];
  if (partition === undefined || offset === undefined) {
    throw new InvalidArgumentError('It must be partition:offset, e.g. 3:120000.');
  }
  return new Map([...before, [Number(partition), BigInt(offset)]]);
}
