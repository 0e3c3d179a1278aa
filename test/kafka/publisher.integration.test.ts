import { randomUUID } from 'node:crypto';
import { Admin } from '@platformatic/kafka';
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest';
import type { SessionId } from '../../src/genesis/ids.ts';
import { CommittedRecords } from '../../src/kafka/committed-records.ts';
import { KafkaPublisher } from '../../src/kafka/publisher.ts';
import { ensureTopic } from '../../src/kafka/topic.ts';
import type { OutgoingRecord } from '../../src/relay/ports.ts';
import { readTopic } from '../relay/read-topic.ts';
import { untilLed } from './until-led.ts';

let topic: string;
let publisher: KafkaPublisher;

beforeEach(async () => {
  topic = `publisher-test-${randomUUID()}`;
  const kafka = { brokers: inject('brokers'), topic };
  await ensureTopic(kafka, { partitions: 3, replicationFactor: 1, minInsyncReplicas: 1 });
  await untilLed(kafka);
  publisher = new KafkaPublisher(kafka, { deliveryDeadline: 500 });
});

afterEach(async () => {
  await publisher.close();
});

function record(shard: number, payload: string): OutgoingRecord {
  return { topic, key: `session-${shard}` as SessionId, shard, payload, headers: { sequence: payload.slice(0, 5) } };
}

const TOO_LARGE = 'x'.repeat(1_100_000);

async function written(partition: number): Promise<string[]> {
  const log = await readTopic(inject('brokers'), topic);
  return log.filter((one) => one.partition === partition).map(({ value }) => value);
}

test('each record has the offset of its own place in its partition', async () => {
  await publisher.send([record(1, 'zero')]);
  const outcomes = await publisher.send([
    record(0, 'a'),
    record(1, 'b'),
    record(0, 'c'),
    record(1, 'd'),
    record(1, 'e'),
  ]);
  expect(outcomes).toEqual([
    { kind: 'acknowledged', partition: 0, offset: '0' },
    { kind: 'acknowledged', partition: 1, offset: '1' },
    { kind: 'acknowledged', partition: 0, offset: '1' },
    { kind: 'acknowledged', partition: 1, offset: '2' },
    { kind: 'acknowledged', partition: 1, offset: '3' },
  ]);
  const log = await readTopic(inject('brokers'), topic);
  const found = log.map(({ partition, offset, value }) => `${partition}/${offset} ${value}`);
  expect(found).toEqual(['0/0 a', '0/1 c', '1/0 zero', '1/1 b', '1/2 d', '1/3 e']);
});

test('a marker has no value at all', async () => {
  const outcomes = await publisher.send([{ ...record(0, ''), payload: null, headers: { discarded: 'true' } }]);
  expect(outcomes).toEqual([{ kind: 'acknowledged', partition: 0, offset: '0' }]);
  const reader = new CommittedRecords({ brokers: inject('brokers'), topic });
  for await (const chunk of reader.read(0, 0n, 1n)) {
    expect(chunk).toMatchObject([{ key: 'session-0', value: null, headers: new Map([['discarded', 'true']]) }]);
  }
  await reader.close();
});

test('a batch that is too large is refused as a whole, the other partitions are written', async () => {
  const outcomes = await publisher.send([record(0, 'a'), record(1, 'b'), record(1, TOO_LARGE), record(2, 'c')]);
  expect(outcomes.map(({ kind }) => kind)).toEqual(['acknowledged', 'refused', 'refused', 'acknowledged']);
  expect(outcomes[1]).toMatchObject({ error: expect.stringContaining('MESSAGE_TOO_LARGE') as string });
  expect(await written(0)).toEqual(['a']);
  expect(await written(1)).toEqual([]);
});

test('after a refusal the producer goes on, each record once', async () => {
  const expected: string[] = [];
  for (let round = 0; round < 5; round += 1) {
    const refused = await publisher.send([record(0, `first ${round}`), record(1, TOO_LARGE)]);
    expect(refused.map(({ kind }) => kind)).toEqual(['acknowledged', 'refused']);
    const sent = await publisher.send([record(0, `second ${round}`), record(1, `small ${round}`)]);
    expect(sent.map(({ kind }) => kind)).toEqual(['acknowledged', 'acknowledged']);
    expected.push(`first ${round}`, `second ${round}`);
  }
  expect(await written(0)).toEqual(expected);
  expect(await written(1)).toEqual([0, 1, 2, 3, 4].map((round) => `small ${round}`));
});

test('a record that cannot be encoded keeps its partition back, and only that', async () => {
  const outcomes = await publisher.send([record(0, 'a'), record(1, '\ud800'), record(1, 'after')]);
  expect(outcomes.map(({ kind }) => kind)).toEqual(['acknowledged', 'refused', 'refused']);
  expect(await written(1)).toEqual([]);
});

test('a partition that the topic does not have is an outage, not another partition', async () => {
  const outcomes = await publisher.send([record(0, 'a'), record(7, 'b')]);
  expect(outcomes).toEqual([
    { kind: 'unavailable', scope: 'topic', error: `topic ${topic} has 3 partitions, there is no partition 7` },
    { kind: 'unavailable', scope: 'topic', error: `topic ${topic} has 3 partitions, there is no partition 7` },
  ]);
  expect(await written(1)).toEqual([]);
});

test('a topic that is not there stalls the send until it is', async () => {
  const missing = `${topic}-late`;
  const stalled = Promise.withResolvers<string>();
  const sending = publisher.send([{ ...record(0, 'a'), topic: missing }], { onStalled: stalled.resolve });
  expect(await stalled.promise).toContain('UNKNOWN_TOPIC_OR_PARTITION');
  await ensureTopic(
    { brokers: inject('brokers'), topic: missing },
    { partitions: 1, replicationFactor: 1, minInsyncReplicas: 1 },
  );
  expect(await sending).toEqual([{ kind: 'acknowledged', partition: 0, offset: '0' }]);
});

test('a topic that is deleted under a working producer is an outage of the topic', async () => {
  await publisher.send([record(0, 'a')]);
  const admin = new Admin({ clientId: 'test-admin', bootstrapBrokers: inject('brokers') });
  await admin.deleteTopics({ topics: [topic] });
  await admin.close();
  // The broker goes on taking records until the deletion reaches it.
  await vi.waitFor(
    async () => {
      expect(await publisher.send([record(0, 'b')])).toMatchObject([{ kind: 'unavailable', scope: 'topic' }]);
    },
    { timeout: 10_000, interval: 20 },
  );
});

test('a send to a broker that is away is told once to be stalled, and close abandons it', async () => {
  const away = new KafkaPublisher({ brokers: ['127.0.0.1:1'], topic }, { deliveryDeadline: 50 });
  const told: string[] = [];
  const stalled = Promise.withResolvers<void>();
  const sending = away.send([record(0, 'a')], {
    onStalled: (error) => {
      told.push(error);
      stalled.resolve();
    },
  });
  await stalled.promise;
  await away.close();
  expect(await sending).toMatchObject([{ kind: 'unavailable', scope: 'cluster' }]);
  expect(told).toEqual([expect.stringContaining('ECONNREFUSED')]);
});

test('a second send beside the first is a defect', async () => {
  const first = publisher.send([record(0, 'a')]);
  await expect(publisher.send([record(0, 'b')])).rejects.toThrow('one send at a time');
  await first;
  expect(await written(0)).toEqual(['a']);
});

test('a closed publisher opens again with its next send', async () => {
  await publisher.send([record(0, 'a')]);
  await publisher.close();
  await publisher.close();
  expect(await publisher.send([record(0, 'b')])).toEqual([{ kind: 'acknowledged', partition: 0, offset: '1' }]);
});
