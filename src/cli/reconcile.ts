import { Command, InvalidArgumentError, Option } from 'commander';
import type { SessionId } from '../genesis/ids.ts';
import type { TopicLog } from '../operations/ports.ts';
import { reconcile, type ReconcileProgress, type ReconcileResult } from '../operations/reconcile.ts';
import { ENTRY_BYTES } from '../operations/record-entry.ts';
import { shardOf } from '../outbox/shard.ts';
import { createReconcileStore } from '../postgres/operations-reconcile.ts';
import { createRead } from '../postgres/read.ts';
import { readSettings } from '../postgres/settings.ts';
import { interrupted } from './interrupted.ts';
import { count, counted, Progress } from './progress.ts';
import { followStream } from './reconcile-follow.ts';
import { metricsOptions } from './reconcile-metrics.ts';
import { FindingList } from './stream-report.ts';
import { WHICH_DATABASE, withDatabase } from './with-database.ts';
import { kafkaConfig, WHICH_CLUSTER, withTopic } from './with-topic.ts';

type Environment = Readonly<Record<string, string | undefined>>;

interface ReconcileCommandOptions {
  readonly partition?: readonly number[];
  readonly from?: bigint;
  readonly show: number;
  readonly json?: true;
  readonly follow?: true;
  readonly sinceNow?: true;
  readonly interval: number;
  readonly metricsPort?: number;
}

const HELP = `
Reads the whole topic and all events side by side: every event that counts as published must be in the topic, once, in order, with its
own bytes; every record must be an event. Reads only; commands and the relay may go on. Memory is bounded: what does not fit is sorted
in the folder for temporary files (TMPDIR), ${ENTRY_BYTES} bytes a record, and removed at the end.
With --follow it goes on with what is new, prints what it finds as it finds it, and waits for a database or broker that is away, until
Ctrl-C or SIGTERM ends it. With --metrics-port its figures are at http://HOST:<port>/metrics, too (docs/metrics.md).
Exit code: 0 they agree · 1 they do not (each kind is counted, the first of each are told), or it could not be checked · 2 wrong usage
With --json one line {"events","records",…,"differences":{"LOST":0,…},"findings":[…]}. What it all means: docs/operations/reconcile.md`;

/** `genesis reconcile` */
export function reconcileCommand(env: Environment): Command {
  return new Command('reconcile')
    .description(
      'prove that the topic holds exactly what the database says: nothing lost, repeated, altered, foreign or out of order',
    )
    .option('--partition <number...>', 'these partitions only', collectPartition)
    .option('--from <offset>', 'only records from this offset on; takes one --partition', parseOffset)
    .addOption(new Option('--show <number>', 'how many of each kind to tell').argParser(parseCount).default(10))
    .option('--json', 'one line of JSON')
    .option('--follow', 'then go on with what is new')
    .option('--since-now', 'with --follow: leave out what is there already')
    .addOption(
      new Option('--interval <seconds>', 'with --follow: between two looks').argParser(parseSeconds).default(10),
    )
    .addOption(
      new Option('--metrics-port <port>', "with --follow: tell the figures in Prometheus' format").argParser(parsePort),
    )
    .addHelpText('after', `${HELP}${WHICH_DATABASE}${WHICH_CLUSTER}`)
    .action(async (options: ReconcileCommandOptions, command: Command) => {
      checkUsage(options, command);
      const metrics = metricsOptions(env, options.metricsPort, command.parent?.version());
      const differences = await withDatabase(env, 'genesis-reconcile', async (pool) => {
        const { shards } = await readSettings(createRead(pool, 10_000));
        const kafka = await kafkaConfig(env);
        return withTopic(kafka, 'genesis-reconcile', (topic) => {
          const partitionOf = (id: SessionId) => shardOf(id, shards);
          const sources = { store: createReconcileStore(pool), topic, topicName: kafka.topic, partitionOf };
          return options.follow ? followStream({ ...options, metrics }, sources) : run(options, sources);
        });
      });
      if (differences > 0) process.exitCode = 1;
    });
}

function checkUsage(
  { from, partition, follow, sinceNow, metricsPort }: ReconcileCommandOptions,
  command: Command,
): void {
  if (from !== undefined && partition?.length !== 1) {
    command.error('error: --from takes exactly one --partition: offsets belong to a partition');
  }
  if (follow && partition !== undefined) command.error('error: --follow looks at all partitions');
  if (sinceNow && !follow) command.error('error: --since-now goes with --follow');
  if (metricsPort !== undefined && !follow) command.error('error: --metrics-port goes with --follow');
}

type Sources = Pick<Parameters<typeof reconcile>[0], 'store' | 'partitionOf' | 'topicName'> & {
  readonly topic: TopicLog;
};

/** Gives the number of differences. */
async function run(options: ReconcileCommandOptions, sources: Sources): Promise<number> {
  const findings = new FindingList(options.show);
  const stages = new Stages();
  const result = await reconcile({
    ...sources,
    only: options.partition === undefined ? null : new Map(options.partition.map((one) => [one, options.from ?? 0n])),
    onFinding: (finding) => findings.add(finding),
    onProgress: (progress) => stages.update(progress),
    signal: interrupted(),
  });
  stages.clear();
  console.log(options.json ? asJson(result, findings) : findings.table(summary(result)));
  return findings.total;
}

/** A bar for each of the two parts. */
class Stages {
  #stage: ReconcileProgress['stage'] | null = null;
  #progress: Progress | null = null;

  update({ stage, done, total }: ReconcileProgress): void {
    if (stage !== this.#stage) {
      this.clear();
      this.#stage = stage;
      const unit = stage === 'topic' ? 'record' : 'event';
      this.#progress = new Progress({ stream: process.stderr, total, unit, now: () => performance.now() });
    }
    this.#progress?.update(done, stage === 'topic' ? 'reading the topic' : 'comparing with the database');
  }

  clear(): void {
    this.#progress?.clear();
  }
}

function summary(result: ReconcileResult): string {
  const { events, records, published, markers, pending, unmarked, elsewhere } = result;
  const also = [
    markers === 0 ? '' : `${count(markers)} of them for discarded events`,
    unmarked === 0 ? '' : `${counted(unmarked, 'event')} published, but not yet marked so`,
    pending === 0 ? '' : `${count(pending)} still to be published`,
    elsewhere === 0 ? '' : `${counted(elsewhere, 'row')} of other topics`,
  ].filter((part) => part !== '');
  const details = also.length === 0 ? '' : ` (${also.join(', ')})`;
  return `${counted(events, 'event')}, ${count(published)} of them in the topic; ${counted(records, 'record')}${details}`;
}

function asJson({ ranges, ...counts }: ReconcileResult, findings: FindingList): string {
  const read = Object.fromEntries(
    [...ranges].map(([partition, { from, to }]) => [partition, [String(from), String(to)]]),
  );
  return JSON.stringify({ ...counts, ranges: read, ...findings.json() });
}

function collectPartition(value: string, before: readonly number[] | undefined): readonly number[] {
  const partition = Number(value);
  if (!/^\d{1,6}$/u.test(value)) throw new InvalidArgumentError('It must be the number of a partition, from 0.');
  return [...new Set([...(before ?? []), partition])];
}

function parseOffset(value: string): bigint {
  if (!/^\d{1,18}$/u.test(value)) throw new InvalidArgumentError('It must be an offset: a whole number from 0.');
  return BigInt(value);
}

function parseSeconds(value: string): number {
  const seconds = Number(value);
  if (/^\d+(\.\d+)?$/u.test(value) && seconds >= 0.1 && seconds <= 3_600) return seconds;
  throw new InvalidArgumentError('It must be a number of seconds from 0.1 to 3600.');
}

function parsePort(value: string): number {
  const port = Number(value);
  if (/^\d{1,5}$/u.test(value) && port >= 1 && port <= 65_535) return port;
  throw new InvalidArgumentError('It must be a port, from 1 to 65535.');
}

function parseCount(value: string): number {
  const number = Number(value);
  if (!/^\d{1,6}$/u.test(value)) throw new InvalidArgumentError('It must be a whole number from 0.');
  return number;
}
