import { Consumer, FetchIsolationLevels, type KafkaRecord } from '@platformatic/kafka';

/** A record as it lies in the log. */
export interface LoggedRecord {
  readonly partition: number;
  readonly offset: bigint;
  readonly key: string;
  readonly value: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
}

const FETCH_BYTES = 8 * 1024 * 1024;

/** Every record of a topic by raw fetches, partition by partition, in offset order; no group, nothing filtered. */
export async function readTopic(brokers: readonly string[], topic: string): Promise<LoggedRecord[]> {
  const consumer = new Consumer({ clientId: 'test-reader', groupId: 'none', bootstrapBrokers: [...brokers] });
  try {
    const { topics } = await consumer.metadata({ topics: [topic] });
    const metadata = topics.get(topic);
    if (metadata === undefined) throw new Error(`no topic ${topic}`);
    const ends = (await consumer.listOffsets({ topics: [topic] })).get(topic) ?? [];
    const records: LoggedRecord[] = [];
    for (const [partition, { leader }] of metadata.partitions.entries()) {
      const log = { consumer, topicId: metadata.id, leader, partition };
      let next = 0n;
      while (next < (ends[partition] ?? 0n)) {
        const fetched = await fetchFrom(log, next);
        const last = fetched.at(-1);
        if (last === undefined) throw new Error(`${topic}:${partition} gives nothing from ${next}`);
        records.push(...fetched);
        next = last.offset + 1n;
      }
    }
    return records;
  } finally {
    await consumer.close();
  }
}

interface PartitionLog {
  readonly consumer: Consumer;
  readonly topicId: string;
  readonly leader: number;
  readonly partition: number;
}

async function fetchFrom(
  { consumer, topicId, leader, partition }: PartitionLog,
  from: bigint,
): Promise<LoggedRecord[]> {
  const response = await consumer.fetch({
    node: leader,
    minBytes: 1,
    maxBytes: FETCH_BYTES,
    maxWaitTime: 100,
    isolationLevel: FetchIsolationLevels.READ_UNCOMMITTED,
    topics: [
      {
        topicId,
        partitions: [
          {
            partition,
            currentLeaderEpoch: -1,
            fetchOffset: from,
            lastFetchedEpoch: -1,
            partitionMaxBytes: FETCH_BYTES,
          },
        ],
      },
    ],
  });
  const batches = response.responses.flatMap(({ partitions }) => partitions.flatMap(({ records }) => records ?? []));
  return batches
    .flatMap((batch) =>
      batch.records.map((record) => toLogged(record, partition, batch.firstOffset, batch.firstTimestamp)),
    )
    .filter(({ offset }) => offset >= from);
}

function toLogged(record: KafkaRecord, partition: number, firstOffset: bigint, firstTimestamp: bigint): LoggedRecord {
  return {
    partition,
    offset: firstOffset + BigInt(record.offsetDelta),
    key: String(record.key),
    value: String(record.value),
    headers: Object.fromEntries(record.headers.map(([name, value]) => [String(name), String(value)])),
    timestamp: Number(firstTimestamp + record.timestampDelta),
  };
}
