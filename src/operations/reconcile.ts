import type { SessionId } from '../genesis/ids.ts';
import type { LoggedEvent, Place, ReconcileStore, TopicLog, TopicRange, TopicRecord } from './ports.ts';
import { entryOf, type RecordEntry } from './record-entry.ts';
import { identify } from './read-record.ts';
import { RecordSorter, type SorterOptions } from './record-sorter.ts';
import type { StreamFinding } from './stream-findings.ts';
import { StreamJudge, type JudgeScope, type ReadRange, type StreamCounts } from './stream-judge.ts';

/** Events that one statement reads. */
const PAGE = 1_000;

export interface ReconcileOptions {
  readonly store: ReconcileStore;
  readonly topic: TopicLog;
  /** Its name: rows of other topics are counted apart. Undefined: all rows are of this one. */
  readonly topicName?: string;
  /** Only these partitions, each from an offset; null: all from their beginning. */
  readonly only: ReadonlyMap<number, bigint> | null;
  readonly partitionOf: (sessionId: SessionId) => number;
  readonly onFinding: (finding: StreamFinding) => void;
  readonly onProgress: (progress: ReconcileProgress) => void;
  readonly sorter?: SorterOptions;
  /** Ends the work soon. */
  readonly signal?: AbortSignal;
}

/** The topic is read first, then the tables. */
export interface ReconcileProgress {
  readonly stage: 'topic' | 'tables';
  readonly done: number;
  readonly total: number;
}

export interface ReconcileResult extends StreamCounts {
  /** How far each partition was read. */
  readonly ranges: ReadonlyMap<number, ReadRange>;
}

/**
 * Reads the topic and the tables side by side, and tells every difference: exact, in bounded memory, whatever is written meanwhile.
 * The topic's ends are taken first, the tables are read later: so every record that was read has its event in what the tables
 * show, and every row that names a place before those ends must be found.
 *
 * @throws PublisherUnavailable, GenesisError UNAVAILABLE, the signal's reason
 */
export async function reconcile(options: ReconcileOptions): Promise<ReconcileResult> {
  const { store, topic, topicName, signal } = options;
  const startedAt = await store.clock();
  const ranges = rangesToRead(await topic.ranges(signal), options.only);
  const scope: JudgeScope = {
    ranges,
    whole: options.only === null,
    partitionOf: options.partitionOf,
    startedAt,
    ...(topicName === undefined ? {} : { topicName }),
  };
  const judge = new StreamJudge(scope, options.onFinding);
  const sorter = new RecordSorter(options.sorter);
  try {
    const strangers = await readTopic(sorter, ranges, options);
    await compare(sorter.sorted(), judge, options);
    const { records, ...counts } = judge.counts;
    return { ...counts, records: records + strangers, ranges };
  } finally {
    await sorter.close();
  }
}

/** @throws RangeError for a partition that does not exist */
function rangesToRead(
  all: readonly TopicRange[],
  only: ReadonlyMap<number, bigint> | null,
): ReadonlyMap<number, ReadRange> {
  if (only === null) return new Map(all.map(({ partition, end }) => [partition, { from: 0n, to: end }]));
  return new Map(
    [...only].map(([partition, from]) => {
      const range = all.find((one) => one.partition === partition);
      if (range === undefined) throw new RangeError(`the topic has ${all.length} partitions, there is no ${partition}`);
      return [partition, { from, to: range.end }];
    }),
  );
}

/** Gives how many records are none of an event; they are told at once. */
async function readTopic(
  sorter: RecordSorter,
  ranges: ReadonlyMap<number, ReadRange>,
  { topic, onFinding, onProgress, signal }: ReconcileOptions,
): Promise<number> {
  const total = [...ranges.values()].reduce((sum, { from, to }) => sum + Math.max(0, Number(to - from)), 0);
  let [passed, strangers] = [0, 0];
  for (const [partition, { from, to }] of ranges) {
    for await (const records of topic.read(partition, from, to, signal)) {
      for (const record of records) {
        const identity = identify(record);
        if (identity !== null) await sorter.add(entryOf(record, identity));
        else {
          strangers += 1;
          onFinding(stranger(record));
        }
      }
      const last = records.at(-1)?.offset ?? from;
      onProgress({ stage: 'topic', done: passed + Number(last + 1n - from), total });
    }
    passed += Math.max(0, Number(to - from));
  }
  return strangers;
}

/** A record without the key and headers of an event. */
export function stranger({ partition, offset, headers }: TopicRecord): StreamFinding {
  const eventId = headers.get('ce_id') ?? null;
  const detail = 'its key and headers name no event';
  return { code: 'FOREIGN', partition, offset, sessionId: null, sequence: null, eventId, detail };
}

/** Goes through events and records in their common order. */
async function compare(
  records: Generator<RecordEntry, void, undefined>,
  judge: StreamJudge,
  options: ReconcileOptions,
): Promise<void> {
  try {
    let entry = nextOf(records);
    for await (const events of pagesOf(options)) {
      for (const logged of events) {
        for (; entry !== null && order(entry, logged) < 0; entry = nextOf(records)) judge.foreign(entry);
        judge.begin(logged);
        for (; entry !== null && order(entry, logged) === 0; entry = nextOf(records)) judge.record(entry);
        judge.end();
      }
    }
    for (; entry !== null; entry = nextOf(records)) judge.foreign(entry);
  } finally {
    records.return();
  }
}

function nextOf(records: Generator<RecordEntry, void, undefined>): RecordEntry | null {
  const { value } = records.next();
  return value ?? null;
}

function order(entry: RecordEntry, { event }: LoggedEvent): number {
  if (entry.sessionId !== event.aggregateId) return entry.sessionId < event.aggregateId ? -1 : 1;
  return entry.sequence - event.aggregateVersion;
}

/** All events, page by page; the next page is asked for while one is compared. */
async function* pagesOf({
  store,
  onProgress,
  signal,
}: ReconcileOptions): AsyncGenerator<readonly LoggedEvent[], void, undefined> {
  const total = await store.countEvents();
  let done = 0;
  let coming = store.eventsAfter(null, PAGE);
  for (;;) {
    signal?.throwIfAborted();
    const events = await coming;
    const last = events.at(-1);
    if (last === undefined) return;
    coming = store.eventsAfter(placeOf(last), PAGE);
    // Whoever leaves in the middle of a page never looks at it.
    coming.catch(() => undefined);
    yield events;
    done += events.length;
    onProgress({ stage: 'tables', done, total: Math.max(done, total) });
  }
}

function placeOf({ event }: LoggedEvent): Place {
  return { sessionId: event.aggregateId, sequence: event.aggregateVersion };
}
