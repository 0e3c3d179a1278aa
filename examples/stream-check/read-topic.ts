import { randomUUID } from 'node:crypto';
import { Consumer, stringDeserializers } from '@platformatic/kafka';
import type { CheckedRecord } from './stream-check.ts';

/** A record with its place. */
export interface TopicRecord extends CheckedRecord {
  readonly partition: number;
  readonly offset: bigint;
}

export interface ReadOptions {
  /** host:port of the bootstrap brokers. */
  readonly brokers: readonly string[];
  readonly topic: string;
  /** Goes on behind what is there at the beginning, until the signal. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

/**
 * The records of a topic from its beginning, each partition's in order. It belongs to a group of its own and commits nothing: no
 * other consumer notices.
 */
export async function* readTopic({ brokers, topic, follow, signal }: ReadOptions): AsyncGenerator<TopicRecord> {
  const consumer = new Consumer({
    clientId: 'stream-check',
    groupId: `stream-check-${randomUUID()}`,
    bootstrapBrokers: [...brokers],
    deserializers: stringDeserializers,
    strict: true,
    autocreateTopics: false,
    retries: true,
    retryDelay: 500,
  });
  try {
    const ends = (await consumer.listOffsets({ topics: [topic] })).get(topic) ?? [];
    const stream = await consumer.consume({ topics: [topic], mode: 'earliest', autocommit: false, maxWaitTime: 200 });
    const stop = () => void stream.close().catch(() => undefined);
    signal.addEventListener('abort', stop, { once: true });
    // What is left at the end of a partition may be the marks of transactions: no record of ours will come.
    const reached = () =>
      ends.every((end, partition) => (stream.offsetsToFetch.get(`${topic}:${partition}`) ?? 0n) >= end);
    const watch = setInterval(() => !follow && reached() && stream.readableLength === 0 && stop(), 100);
    try {
      for await (const { partition, offset, key, headers } of stream) {
        if (follow || offset < (ends[partition] ?? 0n)) yield { partition, offset, key: key ?? '', headers };
      }
    } finally {
      clearInterval(watch);
      signal.removeEventListener('abort', stop);
    }
  } finally {
    await consumer.close(true);
  }
}
