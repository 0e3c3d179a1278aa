import { randomUUID } from 'node:crypto';
import { Admin, ConfigResourceTypes } from '@platformatic/kafka';
import { afterEach, beforeEach, describe, expect, inject, it, test, vi } from 'vitest';
import { ensureTopic, TopicError, TopicUnavailable } from '../../src/kafka/topic.ts';
import { startTcpProxy, type TcpProxy } from '../relay/tcp-proxy.ts';

const ONE_BROKER = { replicationFactor: 1, minInsyncReplicas: 1 };

function config() {
  return { brokers: inject('brokers'), topic: `topic-test-${randomUUID()}` };
}

test('a missing topic is created: kept for ever, never elected unclean', async () => {
  const kafka = config();
  const state = await ensureTopic(kafka, { partitions: 5, ...ONE_BROKER });
  expect(state).toEqual({ created: true, maxMessageBytes: 1_048_588, warnings: [] });
  const admin = new Admin({ clientId: 'test-admin', bootstrapBrokers: kafka.brokers });
  const [described] = await admin.describeConfigs({
    resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: kafka.topic }],
  });
  await admin.close();
  const settings = new Map(described?.configs.map(({ name, value }) => [name, value]));
  expect(settings.get('cleanup.policy')).toBe('delete');
  expect(settings.get('retention.ms')).toBe('-1');
  expect(settings.get('retention.bytes')).toBe('-1');
  expect(settings.get('min.insync.replicas')).toBe('1');
  expect(settings.get('unclean.leader.election.enable')).toBe('false');
});

test('a missing topic that events were published to is not made anew', async () => {
  const kafka = config();
  const limits = { wasPublished: async () => true };
  await expect(ensureTopic(kafka, { partitions: 2, ...ONE_BROKER }, limits)).rejects.toThrow(TopicError);
  const admin = new Admin({ clientId: 'test-admin', bootstrapBrokers: kafka.brokers });
  const topics = await admin.listTopics();
  await admin.close();
  expect(topics).not.toContain(kafka.topic);
  await ensureTopic(kafka, { partitions: 2, ...ONE_BROKER });
  expect(await ensureTopic(kafka, { partitions: 2, ...ONE_BROKER }, limits)).toMatchObject({ created: false });
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

test('a topic that cannot have so many replicas is an error that names the variable', async () => {
  const replicated = ensureTopic(config(), { partitions: 1, replicationFactor: 3, minInsyncReplicas: 2 });
  await expect(replicated).rejects.toThrow(TopicError);
  await expect(replicated).rejects.toThrow(/INVALID_REPLICATION_FACTOR.*: set KAFKA_REPLICATION to /u);
});

test('a topic whose name Kafka does not take is an error that says so', async () => {
  const named = ensureTopic({ ...config(), topic: 'no+plus' }, { partitions: 1, ...ONE_BROKER });
  await expect(named).rejects.toThrow(new TopicError('no+plus is no name for a topic: set KAFKA_TOPIC to another'));
});

async function createWith(configs: Readonly<Record<string, string>>) {
  const kafka = config();
  const admin = new Admin({ clientId: 'test-admin', bootstrapBrokers: kafka.brokers });
  await admin.createTopics({
    topics: [kafka.topic],
    partitions: 1,
    replicas: 1,
    configs: Object.entries(configs).map(([name, value]) => ({ name, value })),
  });
  await admin.close();
  return kafka;
}

const FOR_EVER = { 'retention.ms': '-1' };

test.each([
  [{ ...FOR_EVER, 'cleanup.policy': 'compact' }, 'cleanup.policy=compact'],
  [{ ...FOR_EVER, 'cleanup.policy': 'compact,delete' }, 'cleanup.policy=compact,delete'],
  [{ 'retention.ms': '1000' }, 'retention.ms=1000'],
  [{ 'retention.ms': '1000', 'retention.bytes': '2000' }, 'retention.ms=1000 and retention.bytes=2000'],
])('a topic with %o would lose events: an error with the command that mends it', async (configs, words) => {
  const kafka = await createWith(configs);
  await expect(ensureTopic(kafka, { partitions: 1, ...ONE_BROKER })).rejects.toThrow(
    new TopicError(
      `topic ${kafka.topic} has ${words} and would lose events: mend it with kafka-configs.sh --bootstrap-server ${kafka.brokers.join()} ` +
        `--alter --entity-type topics --entity-name ${kafka.topic} --add-config cleanup.policy=delete,retention.ms=-1,retention.bytes=-1`,
    ),
  );
});

test('a topic that elects unclean leaders is worth a warning', async () => {
  const kafka = await createWith({
    ...FOR_EVER,
    'unclean.leader.election.enable': 'true',
    'max.message.bytes': '5000',
  });
  expect(await ensureTopic(kafka, { partitions: 1, ...ONE_BROKER })).toEqual({
    created: false,
    maxMessageBytes: 5_000,
    warnings: [expect.stringContaining('unclean.leader.election.enable=true')],
  });
});

test('a cluster that is away is told at once, as something to wait for', async () => {
  const away = ensureTopic({ brokers: ['127.0.0.1:1'], topic: 'x' }, { partitions: 1, ...ONE_BROKER });
  await expect(away).rejects.toThrow(TopicUnavailable);
  await expect(away).rejects.toThrow(/ECONNREFUSED/);
});

describe('behind a black hole', () => {
  let link: TcpProxy;
  const settings = { partitions: 1, ...ONE_BROKER };

  beforeEach(async () => {
    link = await startTcpProxy('127.0.0.1', 1);
    link.blackHole();
  });
  afterEach(() => link.close());

  it('is waited for no longer than agreed', async () => {
    const began = performance.now();
    const kafka = { brokers: [`127.0.0.1:${link.port}`], topic: 'x' };
    const look = ensureTopic(kafka, settings, { within: 300 });
    await expect(look).rejects.toThrow(new TopicUnavailable('topic x cannot be made sure of: no answer within 0.3 s'));
    expect(performance.now() - began).toBeLessThan(3_000);
  });

  it('is not waited for by whoever wants to stop', async () => {
    const stop = new AbortController();
    const kafka = { brokers: [`127.0.0.1:${link.port}`], topic: 'x' };
    const look = ensureTopic(kafka, settings, { signal: stop.signal });
    await vi.waitFor(() => expect(link.swallowed()).toBeGreaterThan(0), { timeout: 10_000, interval: 1 });
    const began = performance.now();
    stop.abort(new Error('stopped'));
    await expect(look).rejects.toThrow('stopped');
    expect(performance.now() - began).toBeLessThan(1_000);
    await expect(ensureTopic(kafka, settings, { signal: stop.signal })).rejects.toThrow('stopped');
  });
});
