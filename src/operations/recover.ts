import type { SessionId } from '../genesis/ids.ts';
import { BlockedSessions, identified, planImport, type IdentifiedRecord } from './plan-import.ts';
import type { ImportStep, Place, ReadPartition, RecoverStore, TopicLog, TopicRecord } from './ports.ts';
import type { RecoverProblem } from './recover-problems.ts';

/** Records that are written by one transaction. */
const STEP = 500;

export interface RecoverOptions {
  readonly store: RecoverStore;
  readonly topic: TopicLog;
  /** Where to begin in a partition; those that are missing are read from their beginning. */
  readonly from: ReadonlyMap<number, bigint>;
  /** Says what would be imported, and writes nothing. */
  readonly dryRun: boolean;
  readonly onProblem: (problem: RecoverProblem) => void;
  readonly onProgress: (counts: RecoverCounts, done: number, total: number) => void;
  /** Ends the work after the step under way. */
  readonly signal?: AbortSignal;
}

export interface RecoverCounts {
  readonly records: number;
  /** Events that were imported, or would be. */
  readonly imported: number;
  /** Commands and unanswered requests among what was imported. */
  readonly commands: number;
  /** Sessions that cannot be brought back wholly. */
  readonly problems: number;
  /** Records of no event: somebody else's. */
  readonly strangers: number;
}

export interface RecoverResult extends RecoverCounts {
  readonly partitions: readonly ReadPartition[];
}

/**
 * Imports the events that the topic holds and the database lacks, in the order of the topic and hence of each session, step by
 * step: events, their outbox rows as SENT, and the commands that they tell of. Can be ended at any time and run again; what is
 * there already is only marked as published. The sessions' projections are to be rebuilt afterwards.
 *
 * @throws PublisherUnavailable, GenesisError UNAVAILABLE, TransactionConflict, the signal's reason
 */
export async function recover(options: RecoverOptions): Promise<RecoverResult> {
  const { topic, from, signal } = options;
  const ranges = await topic.ranges(signal);
  const partitions = ranges.map(({ partition, end }) => ({ partition, from: from.get(partition) ?? 0n, to: end }));
  const run = new Recovery(options, partitions);
  for (const { partition, from: first, to } of partitions) {
    let waiting: TopicRecord[] = [];
    for await (const records of topic.read(partition, first, to, signal)) {
      waiting.push(...records);
      for (; waiting.length >= STEP; waiting = waiting.slice(STEP)) await run.step(waiting.slice(0, STEP));
    }
    await run.step(waiting);
  }
  return { ...run.counts, partitions };
}

class Recovery {
  readonly #options: RecoverOptions;
  readonly #total: number;
  readonly #blocked: BlockedSessions;
  /** How sessions would be after the steps so far, if nothing is written. */
  readonly #planned = new Map<SessionId, { readonly sequence: number; readonly eventId: string | null }>();
  readonly counts = { records: 0, imported: 0, commands: 0, problems: 0, strangers: 0 };

  constructor(options: RecoverOptions, partitions: readonly ReadPartition[]) {
    this.#options = options;
    this.#total = partitions.reduce((sum, { from, to }) => sum + Math.max(0, Number(to - from)), 0);
    this.#blocked = new BlockedSessions((problem) => {
      this.counts.problems += 1;
      options.onProblem(problem);
    });
  }

  async step(records: readonly TopicRecord[]): Promise<void> {
    this.#options.signal?.throwIfAborted();
    const ours = records.flatMap((record) => identified(record) ?? []);
    const step = ours.length === 0 ? null : await this.#write(ours);
    this.counts.records += records.length;
    this.counts.strangers += records.length - ours.length;
    this.counts.imported += step?.missing.length ?? 0;
    this.counts.commands += step?.commands.length ?? 0;
    this.#options.onProgress({ ...this.counts }, this.counts.records, this.#total);
  }

  async #write(records: readonly IdentifiedRecord[]): Promise<ImportStep> {
    const { store, dryRun } = this.#options;
    const places: readonly Place[] = records.map(({ sessionId, sequence }) => ({ sessionId, sequence }));
    if (!dryRun) return store.step(places, (facts) => planImport(records, facts, this.#blocked));
    return planImport(records, await store.look(places), this.#blocked, this.#planned);
  }
}
