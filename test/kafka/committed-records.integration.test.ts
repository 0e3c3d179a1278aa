import { randomUUID } from 'node:crypto';
import { Admin, Producer, stringSerializers } from '@platformatic/kafka';
import { afterEach, beforeEach, describe, expect, inject, it, test } from 'vitest';
import { CommittedRecords, type CommittedRecord } from '../../src/kafka/committed-records.ts';
import { ensureTopic } from '../../src/kafka/topic.ts';
import { PublisherUnavailable } from '../../src/relay/ports.ts';
import { startTcpProxy } from '../relay/tcp-proxy.ts';
import { consumeCommitted } from './console-consumer.ts';
import { TestTransactions } from './transactions.ts';

let topic: string;
let reader: CommittedRecords;

beforeEach(async () => {
  topic = `committed-test-${randomUUID()}`;
  await ensureTopic(kafka(), { partitions: 2, replicationFactor: 1, minInsyncReplicas: 1 });
  reader = new CommittedRecords(kafka());
});
afterEach(() => reader.close());

function kafka() {
  return { brokers: inject('brokers'), topic };
}

async function all(from = reader, partition = 0): Promise<CommittedRecord[]> {
  const range = (await from.ranges())[partition];
  return collect(from.read(partition, range?.first ?? 0n, range?.end ?? 0n));
}

async function collect(chunks: AsyncIterable<readonly CommittedRecord[]>): Promise<CommittedRecord[]> {
  const records: CommittedRecord[] = [];
  for await (const chunk of chunks) records.push(...chunk);
  return records;
}

const values = (records: readonly CommittedRecord[]) => records.map(({ value }) => value);

async function write(
  messages: readonly Record<string, unknown>[],
  compression: 'none' | 'gzip' | 'lz4' | 'zstd' = 'none',
) {
  const producer = new Producer({
    clientId: 'test-writer',
    bootstrapBrokers: inject('brokers'),
    serializers: stringSerializers,
    compression,
  });
  await producer.send({ messages: messages.map((message) => ({ topic, partition: 0, ...message }) as never) });
  await producer.close();
}

describe('two producers whose transactions interleave', () => {
  const ROUNDS = 24;
  let committed: string[];

  beforeEach(async () => {
    committed = [];
    const producers = [1, 2].map((number) => new TestTransactions(inject('brokers'), topic, `${topic}-${number}`));
    const pending = new Map<TestTransactions, string[]>();
    // Each ends while the other is in the middle of one; of three in a row two are aborted, and one of those has nothing in it.
    for (let round = 0; round < ROUNDS; round += 1) {
      const producer = producers[round % 2];
      if (producer === undefined) throw new Error('there are two');
      const values = pending.get(producer);
      if (values !== undefined) await producer.end(round % 3 === 0 ? 'commit' : 'abort');
      await producer.begin();
      const next = round % 4 === 3 ? [] : [`${round} first`, `${round} second`];
      if (next.length === 0) await producer.touch(0);
      else await producer.send(0, ...next);
      pending.set(producer, next);
      if (round % 5 === 0) await write([{ value: `${round} alone` }]);
    }
    for (const producer of producers) {
      await producer.end('commit');
      await producer.close();
    }
    committed = [...(await consumeCommitted(inject('brokers'), topic, 0))];
  });

  it('give what Kafka’s own consumer reads, however the fetches cut the log', async () => {
    expect(committed).toContain('1 first');
    expect(committed).not.toContain('0 first');
    expect(committed.length).toBeGreaterThan(8);
    expect(values(await all())).toEqual(committed);
    for (const maxBytes of [1, 500, 1_000]) {
      const small = new CommittedRecords(kafka(), { maxBytes });
      expect(values(await all(small)), `${maxBytes} bytes`).toEqual(committed);
      await small.close();
    }
  });

  it('give the same from any offset on', async () => {
    const records = await all();
    const end = (await reader.ranges())[0]?.end ?? 0n;
    for (let from = 0n; from < end; from += 3n) {
      const rest = await collect(reader.read(0, from, end));
      expect(rest).toEqual(records.filter(({ offset }) => offset >= from));
    }
  });
});

test('an aborted transaction without records takes nothing else away', async () => {
  const producer = new TestTransactions(inject('brokers'), topic, topic);
  for (const [value, end] of [
    ['gone', 'abort'],
    ['stays', 'commit'],
    [null, 'abort'],
  ] as const) {
    await producer.begin();
    await (value === null ? producer.touch(0) : producer.send(0, value));
    await producer.end(end);
  }
  await producer.close();
  expect(values(await all())).toEqual(['stays']);
});

test('an open transaction ends what is committed, also what others wrote behind it', async () => {
  const producer = new TestTransactions(inject('brokers'), topic, topic);
  await write([{ value: 'before' }]);
  await producer.begin();
  await producer.send(0, 'open');
  await write([{ value: 'behind' }]);
  expect(await reader.ranges()).toEqual([
    { partition: 0, first: 0n, end: 1n },
    { partition: 1, first: 0n, end: 0n },
  ]);
  expect(values(await all())).toEqual(['before']);
  await producer.end('commit');
  await expect.poll(async () => values(await all())).toEqual(['before', 'open', 'behind']);
  await producer.close();
});

test('records come with all that they carry', async () => {
  const timestamp = 1_700_000_000_123n;
  await write([
    { key: 'ключ', value: '概念', headers: { ce_id: 'id', leer: '' }, timestamp },
    { value: 'without a key', timestamp: timestamp + 70_000n },
  ]);
  await write([{ key: 'tombstone', value: undefined, timestamp: timestamp - 5n }]);
  const headers = new Map<string, string>();
  expect(await all()).toEqual([
    {
      ...{ partition: 0, offset: 0n, timestamp: Number(timestamp), key: 'ключ', value: '概念' },
      headers: new Map([
        ['ce_id', 'id'],
        ['leer', ''],
      ]),
    },
    { partition: 0, offset: 1n, timestamp: Number(timestamp) + 70_000, key: null, value: 'without a key', headers },
    { partition: 0, offset: 2n, timestamp: Number(timestamp) - 5, key: 'tombstone', value: null, headers },
  ]);
});

test.each(['none', 'gzip', 'lz4', 'zstd'] as const)('compression %s is understood', async (compression) => {
  const messages = Array.from({ length: 300 }, (_, index) => ({
    key: `key ${index}`,
    value: `value ${index}`.repeat(20),
  }));
  await write(messages, compression);
  expect(values(await all())).toEqual(messages.map(({ value }) => value));
});

test('a read gives exactly the offsets that were asked for', async () => {
  await write(Array.from({ length: 10 }, (_, index) => ({ value: `${index}` })));
  expect(values(await collect(reader.read(0, 3n, 7n)))).toEqual(['3', '4', '5', '6']);
  expect(await collect(reader.read(0, 4n, 4n))).toEqual([]);
});

test('a read from below the partition’s beginning begins there', async () => {
  await write(Array.from({ length: 6 }, (_, index) => ({ value: `${index}` })));
  const admin = new Admin({ clientId: 'test-admin', bootstrapBrokers: inject('brokers') });
  await admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition: 0, offset: 4n }] }] });
  await admin.close();
  expect((await reader.ranges())[0]).toEqual({ partition: 0, first: 4n, end: 6n });
  expect(values(await collect(reader.read(0, 0n, 6n)))).toEqual(['4', '5']);
});

test('a partition that is read beyond its end is an error, not an end', async () => {
  const impatient = new CommittedRecords(kafka(), { patience: 50 });
  await write([{ value: 'only' }]);
  const seen: (string | null)[] = [];
  const reading = (async () => {
    for await (const chunk of impatient.read(0, 0n, 2n)) seen.push(...values(chunk));
  })();
  await expect(reading).rejects.toThrow(PublisherUnavailable);
  await expect(reading).rejects.toThrow(/cannot be read from offset 1: it ends at 1, not at 2/u);
  expect(seen).toEqual(['only']);
  await expect(collect(impatient.read(7, 0n, 1n))).rejects.toThrow(/has 2 partitions, there is no 7/u);
  await impatient.close();
});

test('several reads run at a time', async () => {
  const messages = Array.from({ length: 2_000 }, (_, index) => ({ value: `${index}`, partition: index % 2 }));
  await write(messages);
  const small = new CommittedRecords(kafka(), { maxBytes: 2_000 });
  const [even, odd, again] = await Promise.all([all(small, 0), all(small, 1), all(small, 0)]);
  expect(values([...even, ...odd]).length).toBe(2_000);
  expect(again).toEqual(even);
  await small.close();
});

describe('a broker that is away', () => {
  it('is asked again, and told once patience is over', async () => {
    const away = new CommittedRecords({ brokers: ['127.0.0.1:1'], topic }, { patience: 200 });
    await expect(away.ranges()).rejects.toThrow(PublisherUnavailable);
    await expect(away.ranges()).rejects.toThrow(/^topic .*: the ends of its partitions are not known: .*ECONNREFUSED/u);
    await away.close();
  });

  it('does not hold up whoever wants to stop, nor a close', async () => {
    const link = await startTcpProxy('127.0.0.1', 1);
    link.blackHole();
    const away = new CommittedRecords({ brokers: [`127.0.0.1:${link.port}`], topic });
    const stop = new AbortController();
    const asked = away.ranges(stop.signal);
    const other = away.ranges();
    stop.abort(new Error('stopped'));
    await expect(asked).rejects.toThrow('stopped');
    await away.close();
    await expect(other).rejects.toThrow(/the reader was closed/u);
    await link.close();
  });
});
