import { Admin, ConfigResourceTypes, findErrorBy } from '@platformatic/kafka';
import type { KafkaConfig } from '../config.ts';
import { errorWords } from './classify-error.ts';
import { connectionOptions } from './connection.ts';

/** How the topic of events is made. */
export interface TopicSettings {
  readonly partitions: number;
  /** 3 in production, 1 locally. */
  readonly replicationFactor: number;
  /** 2 in production, 1 locally. */
  readonly minInsyncReplicas: number;
}

export interface TopicState {
  readonly created: boolean;
  /** Largest batch of one partition that the topic takes, in bytes. */
  readonly maxMessageBytes: number;
}

/** The topic is not as it must be, or cannot be made so. The message says what to mend. */
export class TopicError extends Error {
  override readonly name = 'TopicError';
}

/**
 * Creates the topic if it is missing: kept for ever, never elected unclean. An existing one keeps its settings.
 * @throws TopicError when it has another number of partitions (then records of one session would be spread over two), or when
 *   the cluster refuses or does not answer within some 20 seconds.
 */
export async function ensureTopic(kafka: KafkaConfig, settings: TopicSettings): Promise<TopicState> {
  const admin = new Admin({ ...connectionOptions(kafka, 'genesis-topic'), retries: 3, retryDelay: 500 });
  try {
    const created = await createTopic(admin, kafka.topic, settings);
    const partitions = await countPartitions(admin, kafka.topic);
    if (partitions !== settings.partitions) {
      throw new TopicError(
        `topic ${kafka.topic} has ${partitions} partitions, but the database says ${settings.partitions} shards: ` +
          `use a topic with ${settings.partitions} partitions`,
      );
    }
    return { created, maxMessageBytes: await readMaxMessageBytes(admin, kafka.topic) };
  } catch (error) {
    if (error instanceof TopicError) throw error;
    throw new TopicError(`topic ${kafka.topic} cannot be made sure of: ${errorWords(error)}`, { cause: error });
  } finally {
    await admin.close();
  }
}

async function createTopic(admin: Admin, topic: string, settings: TopicSettings): Promise<boolean> {
  try {
    await admin.createTopics({
      topics: [topic],
      partitions: settings.partitions,
      replicas: settings.replicationFactor,
      configs: [
        { name: 'cleanup.policy', value: 'delete' },
        { name: 'retention.ms', value: '-1' },
        { name: 'min.insync.replicas', value: String(settings.minInsyncReplicas) },
        { name: 'unclean.leader.election.enable', value: 'false' },
      ],
    });
    return true;
  } catch (error) {
    if (error instanceof Error && findErrorBy(error, 'apiId', 'TOPIC_ALREADY_EXISTS') !== null) return false;
    throw error;
  }
}

async function countPartitions(admin: Admin, topic: string): Promise<number> {
  const metadata = await admin.metadata({ topics: [topic], forceUpdate: true });
  return metadata.topics.get(topic)?.partitionsCount ?? 0;
}

async function readMaxMessageBytes(admin: Admin, topic: string): Promise<number> {
  const name = 'max.message.bytes';
  const [description] = await admin.describeConfigs({
    resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configurationKeys: [name] }],
  });
  const value = Number(description?.configs.find((config) => config.name === name)?.value);
  if (!Number.isInteger(value)) throw new TopicError(`topic ${topic} does not tell its ${name}`);
  return value;
}
