import type { KafkaConfig } from '../../config.ts';
import type { ClusterFacts, TopicFacts } from '../../kafka/inspect-cluster.ts';
import { judgeTopic } from '../../kafka/judge-topic.ts';
import { createCommand, grantCommand, keepCommand, LOST_TOPIC_REMEDY, setCommand } from '../../kafka/topic-settings.ts';
import { counted } from '../progress.ts';
import { saysOf, type Check } from './check.ts';

const brokerSays = saysOf('broker');
const says = saysOf('topic');

/** Kafka 4.0 speaks Produce 12. Tested with 4.3. */
const TESTED_PRODUCE = 12;
/** Kafka's own default, and what the largest event takes at most, with room. */
const USUAL_BYTES = 1_048_588;
const LEAST_BYTES = 524_288;

/** A cluster that did not answer. */
export function judgeNoCluster(error: unknown, { brokers, sasl, tls }: KafkaConfig): Check {
  const words = error instanceof Error ? error.message : String(error);
  const login = sasl === undefined ? 'whether it wants KAFKA_SASL_MECHANISM' : 'KAFKA_SASL_USERNAME and its password';
  const todo = `see that it runs and is KAFKA_BROKERS, ${login}, and ${tls === undefined ? 'whether it wants KAFKA_TLS' : 'KAFKA_TLS_CA_FILE'}`;
  return brokerSays.fail('reachable', `${brokers.join(', ')} cannot be reached (${words})`, todo);
}

/** What the rest is compared with; nulls: it is not known. */
export interface Expected {
  readonly shards: number | null;
  /** Whether events were published to it: then it was lost if it is missing. */
  readonly used: boolean;
}

export function judgeCluster(facts: ClusterFacts, kafka: KafkaConfig, expected: Expected): readonly Check[] {
  const reachable = brokerSays.ok(
    'reachable',
    `${counted(facts.brokers, 'broker')} by ${kafka.brokers.join(', ')}${loginOf(kafka)}`,
  );
  return [reachable, judgeAge(facts), judgeAutoCreate(facts), ...judgeTopicFacts(facts, kafka, expected)];
}

function loginOf({ sasl, tls }: KafkaConfig): string {
  const user = sasl === undefined ? '' : ` as ${sasl.username} (${sasl.mechanism})`;
  return `${user}${tls === undefined ? '' : ', TLS'}`;
}

function judgeAge({ produceVersion }: ClusterFacts): Check {
  const spoken = `the protocol of Kafka ${produceVersion >= TESTED_PRODUCE ? '4.0 or newer' : 'before 4.0'} (Produce ${produceVersion})`;
  if (produceVersion >= TESTED_PRODUCE) return brokerSays.ok('version', spoken);
  return brokerSays.warn(
    'version',
    `${spoken}: this program is tested with 4.3 only`,
    'move to Kafka 4, or test it with yours',
  );
}

function judgeAutoCreate({ autoCreate }: ClusterFacts): Check {
  const name = 'auto.create.topics.enable';
  if (autoCreate === null) return brokerSays.skip(name, 'it may not be read (DESCRIBE_CONFIGS on the cluster)');
  if (!autoCreate) return brokerSays.ok(name, 'false');
  return brokerSays.warn(name, 'true: whoever misspells a topic makes one that loses its events', `set ${name}=false`);
}

function judgeTopicFacts(facts: ClusterFacts, kafka: KafkaConfig, expected: Expected): readonly Check[] {
  const { topic, hidden } = facts;
  if (hidden) {
    const rights = grantCommand(kafka, ['Describe', 'Read', 'Write', 'DescribeConfigs']);
    return [says.fail('exists', `${kafka.topic} may not be seen by this user`, rights)];
  }
  if (topic === null) return [judgeMissing(kafka, expected), ...judgeReplication(facts, kafka)];
  return [
    says.ok('exists', kafka.topic),
    judgePartitions(topic, kafka, expected),
    judgeRights(topic, kafka),
    judgeReplicas(topic),
    ...judgeConfigs(topic, kafka, facts.brokers),
  ];
}

function judgeMissing(kafka: KafkaConfig, { shards, used }: Expected): Check {
  const { topic, replication = 3 } = kafka;
  if (used) return says.fail('exists', `${topic} is missing, though events were published to it`, LOST_TOPIC_REMEDY);
  const settings = {
    partitions: shards ?? 8,
    replicationFactor: replication,
    minInsyncReplicas: Math.max(1, replication - 1),
  };
  return says.warn(
    'exists',
    `${topic} is missing: the relay creates it if it may`,
    `npx genesis relay, or ${createCommand(kafka, settings)}`,
  );
}

/** Only while the topic is still to be made. */
function judgeReplication({ brokers }: ClusterFacts, { replication = 3 }: KafkaConfig): readonly Check[] {
  if (replication <= brokers) return [];
  const detail = `KAFKA_REPLICATION is ${replication}, but there ${brokers === 1 ? 'is 1 broker' : `are ${brokers} brokers`}: the topic cannot be created so`;
  return [says.fail('replication', detail, `set KAFKA_REPLICATION to at most ${brokers}, or start more brokers`)];
}

function judgePartitions({ partitions }: TopicFacts, { topic }: KafkaConfig, { shards }: Expected): Check {
  const has = counted(partitions, 'partition');
  if (shards === null) return says.skip('partitions', `${has}; how many shards the database has is not known`);
  if (partitions === shards) return says.ok('partitions', `${has}, as many as the database has shards`);
  const detail = `${has}, but the database has ${counted(shards, 'shard')}: no relay starts`;
  return says.fail(
    'partitions',
    detail,
    `name a topic with ${shards} in KAFKA_TOPIC; ${topic} cannot be made to fit without breaking its order`,
  );
}

function judgeRights({ missingRights }: TopicFacts, kafka: KafkaConfig): Check {
  if (missingRights === null)
    return says.skip('rights', 'the brokers do not say what this user may do; writing was not tried');
  if (missingRights.length === 0)
    return says.ok('rights', 'the brokers say that this user may read and write; it was not tried');
  return says.fail('rights', `this user lacks ${missingRights.join(', ')}`, grantCommand(kafka, missingRights));
}

function judgeReplicas({ leaderless, behind }: TopicFacts): Check {
  if (leaderless.length > 0) {
    return says.fail(
      'leaders',
      `partitions without a leader: ${leaderless.join(', ')}`,
      'look after the brokers that have them: nothing can be written there',
    );
  }
  if (behind.length === 0) return says.ok('leaders', 'every partition has one, and all its replicas are in sync');
  return says.warn(
    'leaders',
    `replicas are behind in partitions ${behind.join(', ')}`,
    'look after the brokers: with too few in sync nothing can be written',
  );
}

function judgeConfigs(topic: TopicFacts, kafka: KafkaConfig, brokers: number): readonly Check[] {
  const { configs, replicas } = topic;
  if (configs === null) {
    const todo = grantCommand(kafka, ['DescribeConfigs']);
    return [says.skip('settings', 'they may not be read: nobody knows whether the topic keeps its events', todo)];
  }
  const { losing, warnings } = judgeTopic({ topic: kafka.topic, brokers, replicas, configs });
  const [policy, retention] = [configs.get('cleanup.policy'), configs.get('retention.ms')];
  return [
    losing.length === 0
      ? says.ok('kept for ever', `cleanup.policy=${policy}, retention.ms=${retention}`)
      : says.fail('kept for ever', `${losing.join(' and ')}: events would be lost`, keepCommand(kafka)),
    ...judgeSafety(warnings, topic, configs),
    judgeSize(Number(configs.get('max.message.bytes') ?? USUAL_BYTES), kafka),
    says.ok('timestamps', `message.timestamp.type=${configs.get('message.timestamp.type') ?? 'CreateTime'}`),
  ];
}

function judgeSafety(
  warnings: readonly string[],
  { replicas }: TopicFacts,
  configs: ReadonlyMap<string, string>,
): readonly Check[] {
  const todo =
    'replication factor 3, min.insync.replicas=2, unclean.leader.election.enable=false (kafka-reassign-partitions.sh, kafka-configs.sh)';
  if (warnings.length > 0) return warnings.map((warning) => says.warn('replication', warning, todo));
  const detail = `${counted(replicas, 'replica')}, min.insync.replicas=${configs.get('min.insync.replicas')}, no unclean election`;
  return [says.ok('replication', detail)];
}

function judgeSize(bytes: number, kafka: KafkaConfig): Check {
  const detail = `max.message.bytes=${bytes}`;
  const todo = setCommand(kafka, { 'max.message.bytes': String(USUAL_BYTES) });
  if (bytes < LEAST_BYTES) return says.fail('size', `${detail}: the largest events would be refused`, todo);
  if (bytes < USUAL_BYTES) return says.warn('size', `${detail}, less than Kafka's default: batches are smaller`, todo);
  return says.ok('size', detail);
}
