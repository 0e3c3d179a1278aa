import { Admin } from '@platformatic/kafka';
import type { KafkaConfig } from '../config.ts';
import { errorWords } from './classify-error.ts';
import { closeAtOnce, connectionOptions } from './connection.ts';
import { ensureTopic, TopicUnavailable } from './topic.ts';

/**
 * How many partitions a topic has; null if it does not exist.
 *
 * @throws TopicUnavailable when the cluster does not answer, or does not let us see it
 */
export async function partitionsOf(kafka: KafkaConfig): Promise<number | null> {
  const admin = new Admin({ ...connectionOptions(kafka, 'genesis-side-topic'), retries: 1, retryDelay: 500 });
  try {
    const { topics } = await admin.metadata({ topics: [kafka.topic], forceUpdate: true });
    return topics.get(kafka.topic)?.partitionsCount ?? null;
  } catch (error) {
    const words = errorWords(error);
    if (words.includes('Unknown topic')) return null;
    throw new TopicUnavailable(`topic ${kafka.topic} cannot be looked at: ${words}`, { cause: error });
  } finally {
    await closeAtOnce(admin, () => admin.close());
  }
}

/** Makes a topic as the one of events is made: kept for ever. One that exists must be so. @throws TopicError, TopicUnavailable */
export async function makeSideTopic(kafka: KafkaConfig, partitions: number): Promise<void> {
  const replicationFactor = kafka.replication ?? 3;
  await ensureTopic(kafka, { partitions, replicationFactor, minInsyncReplicas: Math.max(1, replicationFactor - 1) });
}
