import { randomUUID } from 'node:crypto';
import { Admin, ConfigResourceTypes } from '@platformatic/kafka';
import { expect, inject, test } from 'vitest';
import { ensureTopic, TopicError } from '../../src/kafka/topic.ts';

const ONE_BROKER = { replicationFactor: 1, minInsyncReplicas: 1 };

function config() {
  return { brokers: inject('brokers'), topic: `topic-test-${randomUUID()}` };
}

test('a missing topic is created: kept for ever, never elected unclean', async () => {
  const kafka = config();
  const state = await ensureTopic(kafka, { partitions: 5, ...ONE_BROKER });
  expect(state).toEqual({ created: true, maxMessageBytes: 1_048_588 });
  const admin = new Admin({ clientId: 'test-admin', bootstrapBrokers: kafka.brokers });
  const [described] = await admin.describeConfigs({
    resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: kafka.topic }],
  });
  await admin.close();
  const settings = new Map(described?.configs.map(({ name, value }) => [name, value]));
  expect(settings.get('cleanup.policy')).toBe('delete');
  expect(settings.get('retention.ms')).toBe('-1');
  expect(settings.get('min.insync.replicas')).toBe('1');
  expect(settings.get('unclean.leader.election.enable')).toBe('false');
});

test('an existing topic is left as it is', async () => {
  const kafka = config();
  await ensureTopic(kafka, { partitions: 2, ...ONE_BROKER });
  expect(await ensureTopic(kafka, { partitions: 2, ...ONE_BROKER })).toMatchObject({ created: false });
});

test('a topic with another number of partitions is an error that says so', async () => {
  const kafka = config();
  await ensureTopic(kafka, { partitions: 2, ...ONE_BROKER });
  await expect(ensureTopic(kafka, { partitions: 8, ...ONE_BROKER })).rejects.toThrow(
    new TopicError(
      `topic ${kafka.topic} has 2 partitions, but the database says 8 shards: use a topic with 8 partitions`,
    ),
  );
});

test('what the cluster refuses is told in its words', async () => {
  const replicated = ensureTopic(config(), { partitions: 1, replicationFactor: 3, minInsyncReplicas: 2 });
  await expect(replicated).rejects.toThrow(/INVALID_REPLICATION_FACTOR/);
});

test('a cluster that does not answer is told', async () => {
  const away = ensureTopic({ brokers: ['127.0.0.1:1'], topic: 'x' }, { partitions: 1, ...ONE_BROKER });
  await expect(away).rejects.toThrow(/ECONNREFUSED/);
});
