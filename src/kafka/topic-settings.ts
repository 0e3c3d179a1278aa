import type { KafkaConfig } from '../config.ts';

/** How the topic of events is made. */
export interface TopicSettings {
  readonly partitions: number;
  /** 3 in production, 1 locally. */
  readonly replicationFactor: number;
  /** 2 in production, 1 locally. */
  readonly minInsyncReplicas: number;
}

/** Events are kept for ever. */
const KEEP = { 'cleanup.policy': 'delete', 'retention.ms': '-1', 'retention.bytes': '-1' } as const;

/** The topic's own settings, by Kafka's names. */
export function topicConfigs({ minInsyncReplicas }: TopicSettings): Readonly<Record<string, string>> {
  return {
    ...KEEP,
    'min.insync.replicas': String(minInsyncReplicas),
    'unclean.leader.election.enable': 'false',
  };
}

/** The command by which an operator creates the topic as we would. */
export function createCommand(kafka: KafkaConfig, settings: TopicSettings): string {
  const { partitions, replicationFactor } = settings;
  const configs = Object.entries(topicConfigs(settings)).map(([name, value]) => ` --config ${name}=${value}`);
  return (
    `kafka-topics.sh ${at(kafka)} --create --topic ${kafka.topic} --partitions ${partitions} ` +
    `--replication-factor ${replicationFactor}${configs.join('')}`
  );
}

/** What to do about a topic that is missing though events were published to it. */
export const LOST_TOPIC_REMEDY =
  'see that KAFKA_BROKERS and KAFKA_TOPIC are right; if it was lost, restore it, or publish everything to a new topic ' +
  '(docs/operations/backup.md). Never make an empty one of that name: what is SENT is not sent again';

/** The command that makes an existing topic keep its events. */
export function keepCommand(kafka: KafkaConfig): string {
  return setCommand(kafka, KEEP);
}

/** The command that changes settings of an existing topic. */
export function setCommand(kafka: KafkaConfig, settings: Readonly<Record<string, string>>): string {
  const configs = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  return `kafka-configs.sh ${at(kafka)} --alter --entity-type topics --entity-name ${kafka.topic} --add-config ${configs.join(',')}`;
}

/** The command that grants the relay what it needs. */
export function grantCommand(kafka: KafkaConfig, operations: readonly string[]): string {
  const wanted = operations.map((operation) => ` --operation ${operation}`).join('');
  const user = kafka.sasl?.username ?? 'ANONYMOUS';
  return `kafka-acls.sh ${at(kafka)} --add --allow-principal User:${user}${wanted} --topic ${kafka.topic}`;
}

/** Kafka's tools take TLS and login from a file: https://kafka.apache.org/documentation/#security */
function at({ brokers, sasl, tls }: KafkaConfig): string {
  const login = sasl === undefined && tls === undefined ? '' : ' --command-config FILE';
  return `--bootstrap-server ${brokers.join(',')}${login}`;
}
