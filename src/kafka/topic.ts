import { Admin, ConfigResourceTypes, type ClusterMetadata } from '@platformatic/kafka';
import type { KafkaConfig } from '../config.ts';
import { errorWords } from './classify-error.ts';
import { says } from './client-seams.ts';
import { closeAtOnce, connectionOptions } from './connection.ts';
import { judgeTopic } from './judge-topic.ts';
import { orAborted } from './or-aborted.ts';
import {
  createCommand,
  grantCommand,
  keepCommand,
  LOST_TOPIC_REMEDY,
  topicConfigs,
  type TopicSettings,
} from './topic-settings.ts';

export interface TopicState {
  readonly created: boolean;
  /** Largest batch of one partition that the topic takes, in bytes. */
  readonly maxMessageBytes: number;
  /** What is not as it should be, though one can work with it. A sentence each. */
  readonly warnings: readonly string[];
}

/** The topic is not as it must be, or cannot be made so. To wait does not help; the message says what to mend. */
export class TopicError extends Error {
  override readonly name = 'TopicError';
}

/** The cluster does not answer, or says that something is not there yet. To try again is right. */
export class TopicUnavailable extends Error {
  override readonly name = 'TopicUnavailable';
}

export interface TopicLimits {
  /** Milliseconds that the whole look may take. Default 20,000. */
  readonly within?: number;
  readonly signal?: AbortSignal;
  /** Asked if the topic is missing: whether events were published to it before. Such a one is not made anew. Default: never. */
  readonly wasPublished?: () => Promise<boolean>;
}

/** Kafka's own default of max.message.bytes. */
const DEFAULT_MAX_MESSAGE_BYTES = 1_048_588;
/** What the broker says to a topic that it will never create as we wish, each time it is asked. */
const NEVER_CREATED = ['INVALID_PARTITIONS', 'INVALID_CONFIG', 'INVALID_REQUEST', 'POLICY_VIOLATION'];

/**
 * Looks at the topic, and creates it if it is missing: kept for ever, never elected unclean. An existing one keeps its settings.
 *
 * @throws TopicError when it was lost (`wasPublished`), when it has another number of partitions (then records of one session would be spread over two), when it
 *   does not keep its records, or when it may not be seen or not be created
 * @throws TopicUnavailable when the cluster does not answer in time
 * @throws the signal's reason
 */
export async function ensureTopic(
  kafka: KafkaConfig,
  settings: TopicSettings,
  { within = 20_000, signal, wasPublished = async () => false }: TopicLimits = {},
): Promise<TopicState> {
  signal?.throwIfAborted();
  const late = AbortSignal.timeout(within);
  const admin = new Admin({ ...connectionOptions(kafka, 'genesis-topic'), retries: 3, retryDelay: 500 });
  const look = lookAtTopic(admin, kafka, settings, wasPublished);
  try {
    return await orAborted(look, signal === undefined ? late : AbortSignal.any([signal, late]));
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof TopicError) throw error;
    const words = late.aborted ? `no answer within ${within / 1_000} s` : errorWords(error);
    throw new TopicUnavailable(`topic ${kafka.topic} cannot be made sure of: ${words}`, { cause: error });
  } finally {
    await closeAtOnce(admin, () => admin.close());
  }
}

async function lookAtTopic(
  admin: Admin,
  kafka: KafkaConfig,
  settings: TopicSettings,
  wasPublished: () => Promise<boolean>,
): Promise<TopicState> {
  const { created, ...topic } = await findOrCreate(admin, kafka, settings, wasPublished);
  if (topic.partitions !== settings.partitions) {
    throw new TopicError(
      `topic ${kafka.topic} has ${topic.partitions} partitions, but the database says ${settings.partitions} shards: ` +
        `use a topic with ${settings.partitions} partitions`,
    );
  }
  const configs = await readConfigs(admin, kafka.topic);
  if (configs === null) return { created, maxMessageBytes: DEFAULT_MAX_MESSAGE_BYTES, warnings: [unreadable(kafka)] };
  const { losing, warnings } = judgeTopic({ ...topic, topic: kafka.topic, configs });
  if (losing.length > 0) {
    throw new TopicError(
      `topic ${kafka.topic} has ${losing.join(' and ')} and would lose events: mend it with ${keepCommand(kafka)}`,
    );
  }
  const maxMessageBytes = Number(configs.get('max.message.bytes') ?? DEFAULT_MAX_MESSAGE_BYTES);
  return { created, maxMessageBytes, warnings };
}

async function findOrCreate(
  admin: Admin,
  kafka: KafkaConfig,
  settings: TopicSettings,
  wasPublished: () => Promise<boolean>,
): Promise<FoundTopic & { readonly created: boolean }> {
  const found = await findTopic(admin, kafka, 0);
  if (found !== null) return { ...found, created: false };
  const lost = await wasPublished();
  const created = !lost && (await createTopic(admin, kafka, settings));
  // Somebody may just have made it; and a broker that has just been started may not know yet what there is.
  const topic = await findTopic(admin, kafka, 3);
  if (topic !== null) return { ...topic, created };
  if (!lost) throw new Error('it was created, but is not there yet');
  throw new TopicError(`topic ${kafka.topic} is missing, though events were published to it: ${LOST_TOPIC_REMEDY}`);
}

function unreadable(kafka: KafkaConfig): string {
  return (
    `the settings of topic ${kafka.topic} may not be read: nobody makes sure that it keeps its events, and batches are of ` +
    `Kafka's usual size; grant the right with ${grantCommand(kafka, ['DescribeConfigs'])}`
  );
}

interface FoundTopic {
  readonly partitions: number;
  readonly replicas: number;
  readonly brokers: number;
}

/** Null if it is not there. */
async function findTopic(admin: Admin, kafka: KafkaConfig, retries: number): Promise<FoundTopic | null> {
  let metadata: ClusterMetadata;
  try {
    metadata = await admin.metadata({ topics: [kafka.topic], forceUpdate: true, retries });
  } catch (error) {
    if (errorWords(error).includes('Unknown topic')) return null;
    if (says(error, 'TOPIC_AUTHORIZATION_FAILED')) {
      const rights = grantCommand(kafka, ['Describe', 'Read', 'Write', 'DescribeConfigs']);
      throw new TopicError(`topic ${kafka.topic} may not be seen by this user: grant the rights with ${rights}`);
    }
    if (says(error, 'INVALID_TOPIC_EXCEPTION')) {
      throw new TopicError(`${kafka.topic} is no name for a topic: set KAFKA_TOPIC to another`);
    }
    throw error;
  }
  const topic = metadata.topics.get(kafka.topic);
  if (topic === undefined) return null;
  const replicas = Math.min(...topic.partitions.map((partition) => partition.replicas.length));
  return { partitions: topic.partitionsCount, replicas, brokers: metadata.brokers.size };
}

/** False if somebody else was faster. */
async function createTopic(admin: Admin, kafka: KafkaConfig, settings: TopicSettings): Promise<boolean> {
  try {
    await admin.createTopics({
      topics: [kafka.topic],
      partitions: settings.partitions,
      replicas: settings.replicationFactor,
      configs: Object.entries(topicConfigs(settings)).map(([name, value]) => ({ name, value })),
    });
    return true;
  } catch (error) {
    if (says(error, 'TOPIC_ALREADY_EXISTS')) return false;
    const never = whyNever(error, kafka, settings);
    throw never === null ? error : new TopicError(never);
  }
}

/** Why the topic will not be created however often we ask, and what to mend; null if asking again may help. */
function whyNever(error: unknown, kafka: KafkaConfig, settings: TopicSettings): string | null {
  const { topic } = kafka;
  const command = createCommand(kafka, settings);
  if (says(error, 'TOPIC_AUTHORIZATION_FAILED', 'CLUSTER_AUTHORIZATION_FAILED')) {
    return `topic ${topic} does not exist and this user may not create it: create it yourself with ${command}`;
  }
  if (says(error, 'INVALID_REPLICATION_FACTOR')) {
    return (
      `topic ${topic} cannot be created with ${settings.replicationFactor} replicas (${errorWords(error)}): ` +
      'set KAFKA_REPLICATION to at most the number of brokers, 1 for a single one'
    );
  }
  if (says(error, ...NEVER_CREATED)) {
    return `topic ${topic} cannot be created (${errorWords(error)}): create it as the cluster allows; it refused ${command}`;
  }
  return null;
}

/** Null if we may not read them. */
async function readConfigs(admin: Admin, topic: string): Promise<ReadonlyMap<string, string> | null> {
  try {
    const [description] = await admin.describeConfigs({
      resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configurationKeys: [...JUDGED] }],
    });
    return new Map(description?.configs.map(({ name, value }) => [name, value ?? '']));
  } catch (error) {
    if (says(error, 'TOPIC_AUTHORIZATION_FAILED', 'CLUSTER_AUTHORIZATION_FAILED')) return null;
    throw error;
  }
}

const JUDGED = [
  'cleanup.policy',
  'retention.ms',
  'retention.bytes',
  'min.insync.replicas',
  'unclean.leader.election.enable',
  'max.message.bytes',
];
