import { Admin, AclOperations, ConfigResourceTypes, type ClusterMetadata } from '@platformatic/kafka';
import type { KafkaConfig } from '../config.ts';
import { errorWords } from './classify-error.ts';
import { askRights, says, tolerateLeaderless } from './client-seams.ts';
import { closeAtOnce, connectionOptions } from './connection.ts';
import { orAborted } from './or-aborted.ts';
import { TopicUnavailable } from './topic.ts';

/** What a cluster is like, as far as it matters to Genesis. */
export interface ClusterFacts {
  readonly brokers: number;
  /** Highest version of the Produce API that the brokers speak: it tells their age. */
  readonly produceVersion: number;
  /** Null: it does not exist. */
  readonly topic: TopicFacts | null;
  /** The user may not see the topic. */
  readonly hidden: boolean;
  /** auto.create.topics.enable of a broker; null: it may not be read. */
  readonly autoCreate: boolean | null;
}

export interface TopicFacts {
  readonly partitions: number;
  /** Of the partition that has the fewest. */
  readonly replicas: number;
  /** Partitions without a leader: nothing can be written to them. */
  readonly leaderless: readonly number[];
  /** Partitions of which a replica has fallen behind. */
  readonly behind: readonly number[];
  /** Settings in force, by Kafka's names; null: they may not be read. */
  readonly configs: ReadonlyMap<string, string> | null;
  /** Names of rights that the relay needs and the user has not; null: the brokers do not say. */
  readonly missingRights: readonly string[] | null;
}

/** Milliseconds that the whole look may take. */
const LIMIT = 10_000;
const NEEDED = { Describe: 'DESCRIBE', Read: 'READ', Write: 'WRITE', DescribeConfigs: 'DESCRIBE_CONFIGS' } as const;
/** What the protocol says instead of rights that were not asked for. */
const UNTOLD = -2_147_483_648;

/**
 * Looks at the cluster and the topic; creates and writes nothing.
 *
 * @throws TopicUnavailable when the cluster does not answer, or refuses the login
 */
export async function inspectCluster(kafka: KafkaConfig): Promise<ClusterFacts> {
  const admin = new Admin({ ...connectionOptions(kafka, 'genesis-doctor'), retries: 1, retryDelay: 200 });
  const late = AbortSignal.timeout(LIMIT);
  try {
    return await orAborted(inspect(admin, kafka.topic), late);
  } catch (error) {
    const words = late.aborted ? `no answer within ${LIMIT / 1_000} s` : errorWords(error);
    throw new TopicUnavailable(words, { cause: error });
  } finally {
    await closeAtOnce(admin, () => admin.close());
  }
}

async function inspect(admin: Admin, name: string): Promise<ClusterFacts> {
  let rights = UNTOLD;
  tolerateLeaderless(admin);
  askRights(admin, (topic, operations) => {
    if (topic === name) rights = operations;
  });
  const apis = await admin.listApis();
  const produceVersion = apis.find((api) => api.name === 'Produce')?.maxVersion ?? 0;
  const { brokers } = await admin.metadata({ topics: [], forceUpdate: true });
  const found = await findTopic(admin, name);
  const topic =
    typeof found === 'string' ? null : { ...found, configs: await topicConfigs(admin, name), ...judged(rights) };
  const [broker = 0] = brokers.keys();
  const autoCreate = await readAutoCreate(admin, String(broker));
  return { brokers: brokers.size, produceVersion, topic, hidden: found === 'hidden', autoCreate };
}

function judged(rights: number): Pick<TopicFacts, 'missingRights'> {
  if (rights === UNTOLD) return { missingRights: null };
  const missing = Object.entries(NEEDED).filter(([, operation]) => (rights & (1 << AclOperations[operation])) === 0);
  return { missingRights: missing.map(([right]) => right) };
}

type Placed = Pick<TopicFacts, 'partitions' | 'replicas' | 'leaderless' | 'behind'>;

async function findTopic(admin: Admin, name: string): Promise<Placed | 'missing' | 'hidden'> {
  let metadata: ClusterMetadata;
  try {
    metadata = await admin.metadata({ topics: [name], forceUpdate: true });
  } catch (error) {
    if (errorWords(error).includes('Unknown topic')) return 'missing';
    if (says(error, 'TOPIC_AUTHORIZATION_FAILED')) return 'hidden';
    throw error;
  }
  const topic = metadata.topics.get(name);
  if (topic === undefined) return 'missing';
  const numbers = [...topic.partitions.keys()];
  const of = (number: number) => topic.partitions[number] ?? { leader: -1, replicas: [], isr: [] };
  return {
    partitions: topic.partitionsCount,
    replicas: Math.min(...numbers.map((number) => of(number).replicas.length)),
    leaderless: numbers.filter((number) => of(number).leader < 0),
    behind: numbers.filter((number) => of(number).isr.length < of(number).replicas.length),
  };
}

const TOPIC_CONFIGS = [
  'cleanup.policy',
  'retention.ms',
  'retention.bytes',
  'min.insync.replicas',
  'unclean.leader.election.enable',
  'max.message.bytes',
  'message.timestamp.type',
];

function topicConfigs(admin: Admin, name: string): Promise<ReadonlyMap<string, string> | null> {
  return configsOf(admin, ConfigResourceTypes.TOPIC, name, TOPIC_CONFIGS);
}

async function readAutoCreate(admin: Admin, broker: string): Promise<boolean | null> {
  const key = 'auto.create.topics.enable';
  const value = (await configsOf(admin, ConfigResourceTypes.BROKER, broker, [key]))?.get(key);
  return value === undefined ? null : value === 'true';
}

/** Null if they may not be read. */
async function configsOf(
  admin: Admin,
  resourceType: (typeof ConfigResourceTypes)['TOPIC' | 'BROKER'],
  resourceName: string,
  configurationKeys: string[],
): Promise<ReadonlyMap<string, string> | null> {
  try {
    const [described] = await admin.describeConfigs({ resources: [{ resourceType, resourceName, configurationKeys }] });
    return new Map(described?.configs.map(({ name, value }) => [name, value ?? '']));
  } catch (error) {
    if (says(error, 'TOPIC_AUTHORIZATION_FAILED', 'CLUSTER_AUTHORIZATION_FAILED')) return null;
    throw error;
  }
}
