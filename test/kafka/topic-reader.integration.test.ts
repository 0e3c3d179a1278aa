import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import type { SessionId } from '../../src/genesis/ids.ts';
import { KafkaPublisher } from '../../src/kafka/publisher.ts';
import { KafkaTopicReader } from '../../src/kafka/topic-reader.ts';
import { ensureTopic } from '../../src/kafka/topic.ts';
import { PublisherUnavailable, type FoundRecord, type OutgoingRecord } from '../../src/relay/ports.ts';
import { TestTransactions } from './transactions.ts';

let topic: string;
let reader: KafkaTopicReader;
let publisher: KafkaPublisher;
const { signal } = new AbortController();

beforeEach(async () => {
  topic = `reader-test-${randomUUID()}`;
  const kafka = { brokers: inject('brokers'), topic };
  await ensureTopic(kafka, { partitions: 2, replicationFactor: 1, minInsyncReplicas: 1 });
  reader = new KafkaTopicReader(kafka, { patience: 200 });
  publisher = new KafkaPublisher(kafka);
});
afterEach(async () => {
  await publisher.close();
  await reader.close();
});

function event(sequence: number, rest: Partial<OutgoingRecord> = {}): OutgoingRecord {
  const headers = { ce_id: `event-${sequence}`, sequence: String(sequence) };
  return { topic, key: 'session' as SessionId, shard: 0, payload: '{}', headers, ...rest };
}

async function aborted(records: number): Promise<void> {
  const producer = new TestTransactions(inject('brokers'), topic, topic);
  await producer.begin();
  await producer.send(0, ...Array.from({ length: records }, (_, index) => `aborted ${index}`));
  await producer.end('abort');
  await producer.close();
}

async function found(offset: string): Promise<FoundRecord[]> {
  const records: FoundRecord[] = [];
  for await (const chunk of reader.from(0, offset, signal)) records.push(...chunk);
  return records;
}

test('an empty partition has no last record', async () => {
  expect(await reader.last(0, signal)).toBeNull();
  expect(await found('0')).toEqual([]);
});

test('the last record is the last that was committed, however much was aborted behind it', async () => {
  await publisher.send([event(1), event(2)]);
  const last = { partition: 0, offset: '1', key: 'session', eventId: 'event-2', sequence: 2, discarded: false };
  expect(await reader.last(0, signal)).toEqual(last);
  await aborted(5);
  expect(await reader.last(0, signal)).toEqual(last);
  await aborted(700);
  expect(await reader.last(0, signal)).toEqual(last);
});

test('a partition of which nothing was ever committed has no last record', async () => {
  await aborted(100);
  expect(await reader.last(0, signal)).toBeNull();
});

test('records are read back from an offset on, markers of discarded events among them', async () => {
  const headers = { ce_id: 'event-3', sequence: '3', discarded: 'true' };
  await publisher.send([event(1), event(2), event(3, { payload: null, headers })]);
  expect((await found('0')).map(({ eventId }) => eventId)).toEqual(['event-1', 'event-2', 'event-3']);
  expect(await found('2')).toEqual([
    { partition: 0, offset: '2', key: 'session', eventId: 'event-3', sequence: 3, discarded: true },
  ]);
});

test('a record that somebody else wrote counts, too', async () => {
  await publisher.send([event(1, { headers: { sequence: 'three' } })]);
  expect(await reader.last(0, signal)).toEqual({
    ...{ partition: 0, offset: '0', key: 'session', eventId: '', sequence: 0, discarded: false },
  });
});

test('a partition that is not there cannot be asked', async () => {
  await expect(reader.last(7, signal)).rejects.toThrow(PublisherUnavailable);
});
