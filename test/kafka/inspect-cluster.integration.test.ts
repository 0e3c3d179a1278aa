import { randomUUID } from 'node:crypto';
import { Admin } from '@platformatic/kafka';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { KafkaConfig } from '../../src/config.ts';
import { inspectCluster } from '../../src/kafka/inspect-cluster.ts';
import { ensureTopic, TopicUnavailable } from '../../src/kafka/topic.ts';
import { grantOnTopic, type Right } from './grant-on-topic.ts';
import { startGuardedBroker, type GuardedBroker } from './guarded-broker.ts';

let broker: GuardedBroker;
let admin: Admin;

beforeAll(async () => {
  broker = await startGuardedBroker();
  admin = new Admin({ clientId: 'test-admin', bootstrapBrokers: [...broker.admin] });
});

afterAll(async () => {
  await admin.close();
  await broker.remove();
});

/** A topic on which the user `relay` has these rights. */
async function topicWith(rights: readonly Right[]): Promise<KafkaConfig> {
  const topic = `inspect-test-${randomUUID()}`;
  await ensureTopic({ brokers: broker.admin, topic }, { partitions: 2, replicationFactor: 1, minInsyncReplicas: 1 });
  await grantOnTopic(admin, topic, rights);
  return { ...broker.relay, topic };
}

test('a user with all rights that a relay needs lacks none, and learns the settings', async () => {
  const { topic, hidden, brokers } = await inspectCluster(
    await topicWith(['DESCRIBE', 'READ', 'WRITE', 'DESCRIBE_CONFIGS']),
  );
  expect({ hidden, brokers, missing: topic?.missingRights }).toEqual({ hidden: false, brokers: 1, missing: [] });
  expect(topic?.configs?.get('cleanup.policy')).toBe('delete');
});

test('the rights that are missing are named; nothing is tried', async () => {
  const { topic, autoCreate } = await inspectCluster(await topicWith(['READ']));
  expect(topic).toMatchObject({ missingRights: ['Write', 'DescribeConfigs'], configs: null, partitions: 2 });
  expect(autoCreate).toBe(null);
});

test('a topic that may not be seen is told from one that is missing', async () => {
  expect(await inspectCluster(await topicWith([]))).toMatchObject({ hidden: true, topic: null });
  const missing = { brokers: broker.admin, topic: `inspect-test-${randomUUID()}` };
  expect(await inspectCluster(missing)).toMatchObject({ hidden: false, topic: null, autoCreate: false });
});

test('a login that is refused is said in the words of the broker', async () => {
  const { sasl, ...kafka } = await topicWith([]);
  if (sasl === undefined) throw new Error('the broker wants a login');
  const refused = inspectCluster({ ...kafka, sasl: { ...sasl, password: 'wrong' } });
  await expect(refused).rejects.toThrow(TopicUnavailable);
  await expect(refused).rejects.toThrow(/authenticat/iu);
});
