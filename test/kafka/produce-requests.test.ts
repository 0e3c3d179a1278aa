import { NumericMap, produceV9, produceV10, produceV11 } from '@platformatic/kafka';
import { afterEach, expect, test, vi } from 'vitest';
import type { SessionId } from '../../src/genesis/ids.ts';
import { clientMessage, produceRequest } from '../../src/kafka/produce-requests.ts';

function message(topic: string, partition: number, payload: string | null) {
  return { topic, partition, value: { key: `s-${partition}` as SessionId, payload, headers: { a: 'ä', b: '' } } };
}

const MESSAGES = [
  message('events', 0, 'one'),
  message('events', 2, null),
  message('others', 1, 'three'),
  message('events', 0, 'four'),
  message('others', 1, ''),
];

afterEach(() => {
  vi.useRealTimers();
});

const VERSIONS = { v9: produceV9, v10: produceV10, v11: produceV11 } as const;

test.for(Object.keys(VERSIONS) as (keyof typeof VERSIONS)[])(
  'a request is the one that the client writes, %s',
  (version) => {
    vi.useFakeTimers({ now: 1_700_000_000_123 });
    const sequences = new NumericMap();
    sequences.set('events:0', 17);
    sequences.set('others:1', 2 ** 31 - 1);
    for (const transactionalId of ['relay-1', undefined]) {
      const options = { producerId: 4n, producerEpoch: 2, sequences, ...(transactionalId ? { transactionalId } : {}) };
      const expected = VERSIONS[version].createRequest(-1, 5_000, MESSAGES.map(clientMessage), options);
      expect(produceRequest(-1, 5_000, MESSAGES, options).buffer.equals(expected.buffer)).toBe(true);
    }
  },
);

test('a producer that is not idempotent has no sequence numbers', () => {
  vi.useFakeTimers({ now: 1_700_000_000_123 });
  const expected = produceV11.createRequest(1, 5_000, MESSAGES.map(clientMessage), {});
  expect(produceRequest(1, 5_000, MESSAGES, {}).buffer.equals(expected.buffer)).toBe(true);
});
