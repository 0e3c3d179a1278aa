import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import type { SessionId } from '../../src/genesis/ids.ts';
import { capApi } from '../../src/kafka/client-seams.ts';
import { CommittedRecords } from '../../src/kafka/committed-records.ts';
import { createProducer, produce, type TextProducer } from '../../src/kafka/outgoing.ts';
import { ensureTopic } from '../../src/kafka/topic.ts';
import type { OutgoingRecord } from '../../src/relay/ports.ts';

let topic: string;
let producer: TextProducer;

beforeEach(async () => {
  topic = `produce-test-${randomUUID()}`;
  const kafka = { brokers: inject('brokers'), topic };
  await ensureTopic(kafka, { partitions: 2, replicationFactor: 1, minInsyncReplicas: 1 });
});

afterEach(async () => {
  await producer.close();
});

function record(payload: string | null, shard: number): OutgoingRecord {
  return { topic, key: 'sitzung-ä' as SessionId, shard, payload, headers: { name: 'wörter', empty: '' } };
}

// What a broker of Kafka 1.0 has, the last one with another layout, and all that have ours.
test.for([3, 8, 9, 10, 11])('Produce requests of version %d carry the whole record', async (version) => {
  const clientId = 'produce-test';
  producer = createProducer({ clientId, bootstrapBrokers: inject('brokers'), idempotent: true });
  capApi(producer, 'Produce', version);
  await produce(producer, [record('a', 0), record('é', 1), record(null, 1)]);
  const answers = await produce(producer, [record('', 1)]);
  expect(answers.get(`${topic}:1`)).toEqual({ kind: 'acknowledged', baseOffset: 2n });
  const reader = new CommittedRecords({ brokers: inject('brokers'), topic });
  const found: unknown[] = [];
  for await (const chunk of reader.read(1, 0n, 3n)) found.push(...chunk);
  await reader.close();
  const same = { key: 'sitzung-ä', headers: new Map(Object.entries({ name: 'wörter', empty: '' })) };
  expect(found).toMatchObject(['é', null, ''].map((value) => ({ ...same, value })));
});
