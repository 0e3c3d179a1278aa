import { randomUUID } from 'node:crypto';
import { Admin } from '@platformatic/kafka';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { KafkaConfig } from '../../src/config.ts';
import { ensureTopic, TopicError } from '../../src/kafka/topic.ts';
import { grantOnTopic, type Right } from './grant-on-topic.ts';
import { startGuardedBroker, type GuardedBroker } from './guarded-broker.ts';

const SETTINGS = { partitions: 2, replicationFactor: 1, minInsyncReplicas: 1 };

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

/** What the user `relay` is given: a topic of its own with these rights on it. */
async function topicWith(rights: readonly Right[], exists = true): Promise<KafkaConfig> {
  const topic = `rights-test-${randomUUID()}`;
  if (exists) await ensureTopic({ brokers: broker.admin, topic }, SETTINGS);
  await grantOnTopic(admin, topic, rights);
  return { ...broker.relay, topic };
}

test('a relay that may not create topics is content with one that is there', async () => {
  const kafka = await topicWith(['DESCRIBE', 'WRITE', 'DESCRIBE_CONFIGS']);
  expect(await ensureTopic(kafka, SETTINGS)).toEqual({ created: false, maxMessageBytes: 1_048_588, warnings: [] });
});

test('a relay that may not see the settings of its topic assumes those of Kafka, and says so', async () => {
  const kafka = await topicWith(['DESCRIBE', 'WRITE']);
  expect(await ensureTopic(kafka, SETTINGS)).toEqual({
    created: false,
    maxMessageBytes: 1_048_588,
    warnings: [expect.stringMatching(/^the settings of topic .* may not be read: .*grant .* DescribeConfigs/u)],
  });
});

test('a missing topic that the relay may not create is an error with the command that creates it', async () => {
  const kafka = await topicWith(['DESCRIBE', 'WRITE'], false);
  const missing = ensureTopic(kafka, SETTINGS);
  await expect(missing).rejects.toThrow(TopicError);
  await expect(missing).rejects.toThrow(
    new RegExp(`^topic ${kafka.topic} does not exist and this user may not create it.*kafka-topics.sh .*--create`, 'u'),
  );
});

test('a topic that the relay may not see is an error that names the rights', async () => {
  const kafka = await topicWith([]);
  const hidden = ensureTopic(kafka, SETTINGS);
  await expect(hidden).rejects.toThrow(TopicError);
  await expect(hidden).rejects.toThrow(
    /--operation Describe --operation Read --operation Write --operation DescribeConfigs/u,
  );
});
