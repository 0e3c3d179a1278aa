import { setTimeout as delay } from 'node:timers/promises';
import {
  Consumer,
  FetchIsolationLevels,
  kGetConnection,
  ListOffsetTimestamps,
  type Connection,
} from '@platformatic/kafka';
import { backoffDelay } from '../backoff.ts';
import type { KafkaConfig } from '../config.ts';
import { PublisherUnavailable } from '../relay/ports.ts';
import { errorWords } from './classify-error.ts';
import { says, tolerateLeaderless } from './client-seams.ts';
import { closeAtOnce, connectionOptions } from './connection.ts';
import { fetchPage, type Page } from './fetch-page.ts';
import { orAborted } from './or-aborted.ts';
import { readBatches, type RecordBatch } from './record-batch.ts';

/** A record of a transaction that was committed, or of none. */
export interface CommittedRecord {
  readonly partition: number;
  readonly offset: bigint;
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
  readonly key: string | null;
  readonly value: string | null;
  /** Of several headers with one name the last counts; one without a value is ''. */
  readonly headers: ReadonlyMap<string, string>;
}

export interface PartitionRange {
  readonly partition: number;
  /** First offset that is there. */
  readonly first: bigint;
  /** Last stable offset: where committed records end. */
  readonly end: bigint;
}

export interface CommittedRecordsOptions {
  /** Names this client to the broker. */
  readonly clientId?: string;
  /** Milliseconds for which a question is asked again, before it fails. Default 5,000. */
  readonly patience?: number;
  /** Most bytes of one fetch, unless a single batch is larger. Default 4 MiB. */
  readonly maxBytes?: number;
}

/** Between two tries, in milliseconds. */
const RETRY_DELAY = { first: 20, most: 1_000 };
/** How long a broker may wait for records that are not there yet, in milliseconds. */
const MAX_WAIT = 100;
/** A leader that moved is learnt from an error, in milliseconds. */
const METADATA_MAX_AGE = 300_000;
/** Asking again does not help against these. */
const HOPELESS = ['TOPIC_AUTHORIZATION_FAILED', 'CLUSTER_AUTHORIZATION_FAILED', 'INVALID_TOPIC_EXCEPTION'];

/**
 * The committed records of the topic (isolation level read_committed), by raw fetches: no group, no position of its own. Several
 * reads may run at a time.
 */
export class CommittedRecords {
  readonly #topic: string;
  readonly #patience: number;
  readonly #maxBytes: number;
  readonly #client: Consumer;

  constructor(kafka: KafkaConfig, options: CommittedRecordsOptions = {}) {
    this.#topic = kafka.topic;
    this.#patience = options.patience ?? 5_000;
    this.#maxBytes = options.maxBytes ?? 4 * 1024 * 1024;
    this.#client = new Consumer({
      ...connectionOptions(kafka, options.clientId ?? 'genesis-reader'),
      // Never joined: the client asks for offsets in the name of a group.
      groupId: 'genesis-reader',
      // Not per question: there the client's own check takes text only.
      isolationLevel: FetchIsolationLevels.READ_COMMITTED,
      metadataMaxAge: METADATA_MAX_AGE,
      retries: 0,
    });
    tolerateLeaderless(this.#client);
  }

  /** Where each partition begins and ends, by partition. @throws PublisherUnavailable, the signal's reason */
  async ranges(signal?: AbortSignal): Promise<readonly PartitionRange[]> {
    return this.#persist('the ends of its partitions are not known', signal, () => this.#ranges());
  }

  /** Where one partition begins and ends, also when others have no leader. @throws PublisherUnavailable, the signal's reason */
  async range(partition: number, signal?: AbortSignal): Promise<PartitionRange> {
    const what = `the ends of partition ${partition} are not known`;
    return this.#persist(what, signal, async () => {
      const [range] = await this.#ranges(partition);
      if (range === undefined) throw new Error('the broker did not tell');
      return range;
    });
  }

  /** Where some partitions end for readers of committed records, asked once. @throws the client's errors */
  async ends(partitions: readonly number[]): Promise<ReadonlyMap<number, bigint>> {
    return this.#offsets(ListOffsetTimestamps.LATEST, partitions);
  }

  /**
   * The committed records with offsets from `from` up to, not including, `to`: in order, in chunks of bounded size. Where `from`
   * lies below the partition's beginning, it begins there. `to` is an end that `ranges` told, or less.
   *
   * @throws PublisherUnavailable when the records up to `to` cannot be had; what was given before is right and whole
   * @throws the signal's reason
   */
  async *read(
    partition: number,
    from: bigint,
    to: bigint,
    signal?: AbortSignal,
  ): AsyncGenerator<readonly CommittedRecord[], void, undefined> {
    let next = from;
    while (next < to) {
      const what = `partition ${partition} cannot be read from offset ${next}`;
      const page = await this.#persist(what, signal, () => this.#page(partition, next, to));
      // A batch comes whole, also when it begins earlier.
      const records = page.records.filter(({ offset }) => offset >= next && offset < to);
      next = page.next;
      if (records.length > 0) yield records;
    }
  }

  /** What is pending fails with PublisherUnavailable. Never rejects. */
  async close(): Promise<void> {
    await closeAtOnce(this.#client, () => this.#client.close(true));
  }

  async #page(partition: number, next: bigint, to: bigint): Promise<{ records: CommittedRecord[]; next: bigint }> {
    const page = await this.#fetch(partition, next);
    if (page === null) {
      const first = (await this.#offsets(ListOffsetTimestamps.EARLIEST, [partition])).get(partition);
      if (first === undefined || first <= next) throw new Error(`the partition does not reach to offset ${next}`);
      return { records: [], next: first };
    }
    const batches = readBatches(page.bytes);
    const last = batches.at(-1);
    // A new leader may not know yet how far the log is committed, and learns it soon: to end here would be to lose records.
    if (last === undefined) throw new Error(`it ends at ${page.lastStableOffset}, not at ${to}`);
    return { records: committedIn(partition, batches, page), next: last.lastOffset + 1n };
  }

  /** Null when the offset is not there. */
  async #fetch(partition: number, offset: bigint): Promise<Page | null> {
    const leader = await this.#leaderOf(partition);
    try {
      return await fetchPage(leader, {
        topic: this.#topic,
        partition,
        offset,
        maxBytes: this.#maxBytes,
        maxWait: MAX_WAIT,
      });
    } catch (error) {
      if (says(error, 'OFFSET_OUT_OF_RANGE')) return null;
      throw error;
    }
  }

  async #leaderOf(partition: number): Promise<Connection> {
    const metadata = await this.#client.metadata({ topics: [this.#topic] });
    const topic = metadata.topics.get(this.#topic);
    const leader = topic?.partitions[partition]?.leader;
    if (leader === undefined) {
      throw new Error(`topic ${this.#topic} has ${topic?.partitionsCount ?? 0} partitions, there is no ${partition}`);
    }
    const broker = metadata.brokers.get(leader);
    if (broker === undefined) throw new Error(`partition ${partition} has no leader now`);
    const { promise, resolve, reject } = Promise.withResolvers<Connection>();
    this.#client[kGetConnection](broker, (error, connection) => {
      if (connection === undefined) reject(error ?? new Error('no connection'));
      else resolve(connection);
    });
    return promise;
  }

  /** Of all partitions, or of one alone. */
  async #ranges(only?: number): Promise<PartitionRange[]> {
    const asked = only === undefined ? undefined : [only];
    const first = await this.#offsets(ListOffsetTimestamps.EARLIEST, asked);
    const end = await this.#offsets(ListOffsetTimestamps.LATEST, asked);
    return [...end].map(([partition, offset]) => ({ partition, first: first.get(partition) ?? 0n, end: offset }));
  }

  /** By partition, ascending. */
  async #offsets(timestamp: bigint, only?: readonly number[]): Promise<ReadonlyMap<number, bigint>> {
    const offsets = await this.#client.listOffsets({
      topics: [this.#topic],
      timestamp,
      ...(only === undefined ? {} : { partitions: { [this.#topic]: [...only] } }),
    });
    // One that was not asked for is a hole in this array.
    const told = Object.entries(offsets.get(this.#topic) ?? []);
    return new Map(told.map(([partition, offset]) => [Number(partition), offset]));
  }

  /** Asks until there is an answer, each time where the partitions are led then. */
  async #persist<Answer>(what: string, signal: AbortSignal | undefined, ask: () => Promise<Answer>): Promise<Answer> {
    const until = performance.now() + this.#patience;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await orAborted(ask(), signal);
      } catch (error) {
        signal?.throwIfAborted();
        const late = performance.now() >= until;
        if (late || this.#client.closed || says(error, ...HOPELESS)) {
          const words = this.#client.closed ? 'the reader was closed' : errorWords(error);
          throw new PublisherUnavailable(`topic ${this.#topic}: ${what}: ${words}`, { cause: error });
        }
        this.#client.clearMetadata();
        await orAborted(delay(backoffDelay(attempt, RETRY_DELAY)), signal);
      }
    }
  }
}

/**
 * The records of batches whose transactions were committed, and of those outside of transactions. The broker names the aborted
 * transactions by producer and first offset; where each ends, its control batch says.
 * Source: the Java client, CompletedFetch.nextFetchedRecord.
 */
function committedIn(
  partition: number,
  batches: readonly RecordBatch[],
  { aborted }: Pick<Page, 'aborted'>,
): CommittedRecord[] {
  const coming = [...aborted].sort((a, b) => (a.firstOffset < b.firstOffset ? 1 : -1));
  const aborting = new Set<bigint>();
  const committed: CommittedRecord[] = [];
  for (const batch of batches) {
    for (let next = coming.at(-1); next !== undefined && next.firstOffset <= batch.lastOffset; next = coming.at(-1)) {
      aborting.add(next.producerId);
      coming.pop();
    }
    if (batch.aborts) aborting.delete(batch.producerId);
    if (batch.control || (batch.transactional && aborting.has(batch.producerId))) continue;
    for (const record of batch.records()) committed.push({ partition, ...record });
  }
  return committed;
}
