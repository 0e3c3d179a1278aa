import { loadConfig, type KafkaConfig } from '../config.ts';
import { CommittedRecords } from '../kafka/committed-records.ts';
import { readEndpoints } from './endpoints-file.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** What every command says of its cluster. */
export const WHICH_CLUSTER =
  '\nThe cluster is the one of KAFKA_BROKERS (or KAFKA_HOST), else that of the instance running in this folder; the topic is KAFKA_TOPIC.';

/**
 * The cluster of the environment, or of the instance that runs in this folder, and the topic of events.
 *
 * @throws ConfigError, or an Error that says how to name a cluster
 */
export async function kafkaConfig(env: Environment): Promise<KafkaConfig> {
  const { kafka, topic, local } = loadConfig(env, 'tool');
  if (kafka !== null) return kafka;
  const endpoints = await readEndpoints(local.dataDir);
  if (endpoints !== null) return { brokers: endpoints.kafka, topic, replication: 1 };
  throw new Error('no cluster: set KAFKA_BROKERS, or start an instance with `npx genesis start` first');
}

/** Most bytes that are fetched at a time: more is no faster, and stays in memory for longer. */
const PAGE_BYTES = 1024 * 1024;

/** Lends a reader of the topic. @param name How the broker's log names it. */
export async function withTopic<Result>(
  kafka: KafkaConfig,
  name: string,
  use: (topic: CommittedRecords) => Promise<Result>,
): Promise<Result> {
  const topic = new CommittedRecords(kafka, { clientId: name, maxBytes: PAGE_BYTES });
  try {
    return await use(topic);
  } finally {
    await topic.close();
  }
}
