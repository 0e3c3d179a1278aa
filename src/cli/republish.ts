import { Command, InvalidArgumentError } from 'commander';
import type { KafkaConfig } from '../config.ts';
import type { SessionId } from '../genesis/ids.ts';
import { KafkaPublisher } from '../kafka/publisher.ts';
import { makeSideTopic, partitionsOf } from '../kafka/side-topic.ts';
import type { RepublishStore, Selection } from '../operations/ports.ts';
import { readWritten, republish, type RepublishResult, type Written } from '../operations/republish.ts';
import { createRepublishStore } from '../postgres/operations-republish.ts';
import { createRead } from '../postgres/read.ts';
import { readSettings } from '../postgres/settings.ts';
import { interrupted } from './interrupted.ts';
import { outputOf } from './output.ts';
import { count, counted, duration, Progress } from './progress.ts';
import { mustExist, parseSessionId } from './session-option.ts';
import { WHICH_DATABASE, withDatabase } from './with-database.ts';
import { kafkaConfig, WHICH_CLUSTER, withTopic } from './with-topic.ts';

type Environment = Readonly<Record<string, string | undefined>>;

interface RepublishCommandOptions {
  readonly toTopic: string;
  readonly session?: SessionId;
  readonly since?: number;
  readonly until?: number;
  readonly all?: true;
  readonly partitions?: number;
  readonly resume?: true;
  readonly append?: true;
  readonly yes?: true;
  readonly json?: true;
}

const HELP = `
Each session's events in their order, with the same key, bytes and headers as the relay sends; discarded events as markers. Never to the
live topic: its order would be broken for good. The topic is created if it is missing. Without --yes it only says what it would do.
Exit code: 0 done, or shown · 1 there is no such session; or it failed or ended, the message says how to go on · 2 wrong usage. More: docs/operations/republish.md`;

/** `genesis republish` */
export function republishCommand(env: Environment): Command {
  return new Command('republish')
    .description('publish events anew to another topic: one session, a time, or the whole log')
    .requiredOption('--to-topic <name>', 'where to; never the live topic', parseTopic)
    .option('--session <id>', 'the events of this session', parseSessionId)
    .option('--since <time>', 'events that happened at this time or later: 2026-11-23T08:00:00Z', parseTime)
    .option('--until <time>', 'events that happened before it', parseTime)
    .option('--all', 'the whole log')
    .option(
      '--partitions <number>',
      'of the topic, if it is to be created; by default as many as the live one has',
      parsePartitions,
    )
    .option('--resume', 'go on where an earlier run with the same selection ended')
    .option('--append', 'the topic may hold something: what is there already is written a second time')
    .option('--yes', 'do it')
    .option(
      '--json',
      'one line {"topic","partitions","events","sent","there_before"}; sent is null if nothing was to be sent',
    )
    .addHelpText('after', `${HELP}${WHICH_DATABASE}${WHICH_CLUSTER}`)
    .action(async (options: RepublishCommandOptions, command: Command) => {
      const selection = selectionOf(options, command);
      await withDatabase(env, 'genesis-republish', async (pool) => {
        const { shards } = await readSettings(createRead(pool, 10_000));
        const live = await kafkaConfig(env);
        const store = createRepublishStore(pool);
        const { sessionId } = selection;
        if (sessionId !== null) mustExist(sessionId, await store.count({ sessionId, since: null, until: null }));
        if (live.topic === options.toTopic || (await store.isLive(options.toTopic))) {
          throw new Error(`${options.toTopic} is the live topic: its order would be broken for good. Name another one`);
        }
        await run({ options, selection, store, shards, kafka: { ...live, topic: options.toTopic } });
      });
    });
}

interface Work {
  readonly options: RepublishCommandOptions;
  readonly selection: Selection;
  readonly store: RepublishStore;
  /** Partitions of the live topic. */
  readonly shards: number;
  /** With the target topic. */
  readonly kafka: KafkaConfig;
}

async function run(work: Work): Promise<void> {
  const { options, selection, store, shards, kafka } = work;
  const signal = interrupted();
  const existing = await partitionsOf(kafka);
  if (existing !== null && options.partitions !== undefined && existing !== options.partitions) {
    throw new Error(`topic ${kafka.topic} has ${existing} partitions already, not ${options.partitions}`);
  }
  const partitions = existing ?? options.partitions ?? shards;
  const written = existing === null ? new Map<never, never>() : await whatIsThere(kafka, options, signal);
  const total = await store.count(selection);
  const target = `topic ${kafka.topic} (${counted(partitions, 'partition')}${existing === null ? ', to be created' : ''})`;
  const { say, tell } = outputOf(options);
  say(`${counted(total, 'event')} to ${target}`);
  if (options.yes !== true) {
    say('nothing was sent; with --yes it is done');
    tell({ topic: kafka.topic, partitions, events: total, sent: null, there_before: null });
    return;
  }
  await makeSideTopic(kafka, partitions);
  await sendAll(work, { partitions, written, total, signal });
}

/** @throws Error if there is something, and nobody said that it is ours */
async function whatIsThere(
  kafka: KafkaConfig,
  { resume, append }: RepublishCommandOptions,
  signal: AbortSignal,
): Promise<Written> {
  if (append) return new Map();
  return withTopic(kafka, 'genesis-republish', async (topic) => {
    const written = await readWritten(topic, signal);
    if (written.size === 0 || resume) return written;
    throw new Error(
      `topic ${kafka.topic} is not empty: name a new one; or go on with an earlier run of the same selection by --resume, or write behind it by --append`,
    );
  });
}

interface Target {
  readonly partitions: number;
  readonly written: Written;
  readonly total: number;
  readonly signal: AbortSignal;
}

async function sendAll({ options, store, selection, kafka }: Work, { total, ...target }: Target): Promise<void> {
  const progress = new Progress({ stream: process.stderr, total, unit: 'event', now: () => performance.now() });
  const publisher = new KafkaPublisher(kafka, { clientId: 'genesis-republish' });
  let result: RepublishResult;
  try {
    result = await republish({
      ...target,
      store,
      publisher,
      selection,
      topic: kafka.topic,
      onProgress: (sent, passed) => progress.update(sent + passed, `${count(sent)} sent`),
      onOutage: (error) => {
        progress.clear();
        console.error(`not sent, trying again: ${error}`);
      },
    });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const again = options.append ? 'the same command' : 'the same command with --resume';
    throw new Error(`${message}. To go on: ${again}`, { cause: error });
  } finally {
    progress.clear();
    await publisher.close();
  }
  const { sent } = result;
  // Those that lie before everything that was written are not even read again.
  const there = total - sent;
  const before = there <= 0 ? '' : `; ${count(there)} were there already`;
  const { say, tell } = outputOf(options);
  say(`${counted(sent, 'event')} sent in ${duration(progress.elapsed)}${before}`);
  tell({ topic: kafka.topic, partitions: target.partitions, events: total, sent, there_before: Math.max(0, there) });
}

function selectionOf(options: RepublishCommandOptions, command: Command): Selection {
  const { session, since, until, all } = options;
  const bounded = session !== undefined || since !== undefined || until !== undefined;
  if (bounded === (all === true)) {
    command.error('error: say which events: --session, --since, --until, or --all and none of them');
  }
  if (options.resume && options.append) command.error('error: --resume and --append exclude each other');
  return { sessionId: session ?? null, since: since ?? null, until: until ?? null };
}

function parseTopic(value: string): string {
  if (/^[\w.-]{1,249}$/u.test(value) && value !== '.' && value !== '..') return value;
  throw new InvalidArgumentError("It must be 1 to 249 letters, digits, '.', '_' or '-'.");
}

function parseTime(value: string): number {
  const time = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/u.test(value)
    ? Date.parse(value)
    : Number.NaN;
  if (Number.isNaN(time)) throw new InvalidArgumentError('It must be a time with its zone: 2026-11-23T08:00:00Z.');
  return time;
}

function parsePartitions(value: string): number {
  const partitions = Number(value);
  if (/^[1-9]\d{0,4}$/u.test(value) && partitions <= 10_000) return partitions;
  throw new InvalidArgumentError('It must be a whole number from 1 to 10000.');
}
