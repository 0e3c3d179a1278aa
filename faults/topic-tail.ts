import { setTimeout as sleep } from 'node:timers/promises';
import {
  Consumer,
  createAPI,
  FetchIsolationLevels,
  fetchV12,
  kGetConnection,
  type Connection,
  type Reader,
} from '@platformatic/kafka';
import type { KafkaConfig } from '../src/config.ts';
import { closeAtOnce, connectionOptions } from '../src/kafka/connection.ts';
import { readBatches, type BatchedRecord } from '../src/kafka/record-batch.ts';

const MAX_BYTES = 8 * 1024 * 1024;
/** How long a broker may wait for something new, in milliseconds. */
const MAX_WAIT = 250;
const RETRY_DELAY = 50;
const NO_SESSION = -1;
const isolation = FetchIsolationLevels.READ_COMMITTED;

interface Answer {
  readonly partition: number;
  readonly errorCode: number;
  readonly lastStableOffset: bigint;
  readonly aborted: readonly bigint[];
  readonly bytes: Buffer;
}

/** Like the client's own fetch, which filters transactions wrongly; see src/kafka/fetch-page.ts. */
const fetchApi = createAPI<Parameters<typeof fetchV12.createRequest>, readonly Answer[]>(
  1,
  12,
  fetchV12.createRequest,
  readAnswers,
);

/**
 * Follows a topic from its end, as a read_committed consumer would: calls `onRecord` as soon as a record is visible. All
 * partitions of a leader are one long poll. It survives brokers that go and come; after such a time it gives every record at
 * least once.
 */
export class TopicTail {
  readonly #kafka: KafkaConfig;
  readonly #onRecord: (record: BatchedRecord, partition: number) => void;
  readonly #client: Consumer;
  readonly #stopping = new AbortController();
  readonly #next = new Map<number, bigint>();
  #ended: Promise<void> = Promise.resolve();

  constructor(kafka: KafkaConfig, onRecord: (record: BatchedRecord, partition: number) => void) {
    this.#kafka = kafka;
    this.#onRecord = onRecord;
    this.#client = new Consumer({
      ...connectionOptions(kafka, 'faults-tail'),
      // Never joined.
      groupId: 'faults-tail',
      isolationLevel: isolation,
      metadataMaxAge: 300_000,
      retries: 3,
    });
  }

  /** Resolves when it stands at the end of every partition. */
  async start(): Promise<void> {
    const offsets = await this.#client.listOffsets({ topics: [this.#kafka.topic] });
    for (const [partition, offset] of (offsets.get(this.#kafka.topic) ?? []).entries())
      this.#next.set(partition, offset);
    this.#ended = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await closeAtOnce(this.#client, () => this.#client.close(true));
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const round = new AbortController();
      try {
        const leaders = await this.#leaders();
        await Promise.all(leaders.map(async ([leader, partitions]) => this.#follow(leader, partitions, round.signal)));
      } catch {
        // The others of this round must not go on beside the next.
        round.abort();
        this.#client.clearMetadata();
        await sleep(RETRY_DELAY, undefined, { signal }).catch(() => {});
      }
    }
  }

  /** Until something is wrong with the leader. */
  async #follow(leader: Connection, partitions: readonly number[], round: AbortSignal): Promise<void> {
    while (!this.#stopping.signal.aborted && !round.aborted) {
      const wanted = partitions.map((partition) => ({
        partition,
        currentLeaderEpoch: -1,
        fetchOffset: this.#next.get(partition) ?? 0n,
        lastFetchedEpoch: -1,
        partitionMaxBytes: MAX_BYTES,
      }));
      const topics = [{ topicId: this.#kafka.topic, partitions: wanted }];
      const answers = await fetchApi.async(
        leader,
        ...([MAX_WAIT, 1, MAX_BYTES, isolation, 0, NO_SESSION, topics, [], ''] satisfies Parameters<
          typeof fetchV12.createRequest
        >),
      );
      if (round.aborted) return;
      if (answers.some(({ errorCode }) => errorCode !== 0)) throw new Error('the leader is another one');
      for (const answer of answers) this.#take(answer);
    }
  }

  #take({ partition, aborted, bytes }: Answer): void {
    for (const batch of readBatches(bytes)) {
      this.#next.set(partition, batch.lastOffset + 1n);
      // Coarse: where latencies are measured, transactions are not rolled back. The judge reads exactly.
      if (batch.control || (batch.transactional && aborted.includes(batch.producerId))) continue;
      for (const record of batch.records()) this.#onRecord(record, partition);
    }
  }

  async #leaders(): Promise<[Connection, number[]][]> {
    const metadata = await this.#client.metadata({ topics: [this.#kafka.topic] });
    const byNode = new Map<number, number[]>();
    for (const [partition, { leader }] of (metadata.topics.get(this.#kafka.topic)?.partitions ?? []).entries()) {
      byNode.set(leader, [...(byNode.get(leader) ?? []), partition]);
    }
    return Promise.all(
      [...byNode].map(async ([node, partitions]): Promise<[Connection, number[]]> => {
        const broker = metadata.brokers.get(node);
        if (broker === undefined) throw new Error('a partition has no leader');
        const { promise, resolve, reject } = Promise.withResolvers<Connection>();
        this.#client[kGetConnection](broker, (error, connection) => {
          if (connection === undefined) reject(error ?? new Error('no connection'));
          else resolve(connection);
        });
        return [await promise, partitions];
      }),
    );
  }
}

/** Source: the Kafka protocol guide, "Fetch Response (Version: 12)". */
function readAnswers(_correlation: number, _key: number, _version: number, reader: Reader): readonly Answer[] {
  reader.readInt32(); // throttle_time_ms
  const errorCode = reader.readInt16();
  reader.readInt32(); // session_id
  const topics = reader.readArray((topic) => {
    topic.readString();
    return topic.readArray(readPartition, true, false);
  });
  if (errorCode !== 0) throw new Error(`fetch failed with error code ${errorCode}`);
  return topics.flat();
}

function readPartition(reader: Reader): Answer {
  const partition = reader.readInt32();
  const errorCode = reader.readInt16();
  reader.readInt64(); // high_watermark
  const lastStableOffset = reader.readInt64();
  reader.readInt64(); // log_start_offset
  const aborted = reader.readArray((list) => {
    const producerId = list.readInt64();
    list.readInt64(); // first_offset
    return producerId;
  });
  reader.readInt32(); // preferred_read_replica
  const bytes = reader.readBytes();
  reader.readTaggedFields();
  return { partition, errorCode, lastStableOffset, aborted, bytes };
}
