import { createRecordsBatch, NumericMap } from '@platformatic/kafka';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { clientMessage } from '../../src/kafka/produce-requests.ts';
import { readBatches } from '../../src/kafka/record-batch.ts';
import { encodeBatch, type BatchHead, type EncodableRecord } from '../../src/kafka/record-encoder.ts';
import type { SessionId } from '../../src/genesis/ids.ts';

const HEAD: BatchHead = {
  timestamp: 1_700_000_000_123n,
  producerId: -1n,
  producerEpoch: 0,
  firstSequence: 0,
  transactional: false,
};

/** What the client writes of the same. */
function byClient(records: readonly EncodableRecord[], head: BatchHead): Buffer {
  const sequences = new NumericMap();
  sequences.set('events:3', head.firstSequence);
  const { producerId, producerEpoch, timestamp } = head;
  const options = { producerId, producerEpoch, sequences, ...(head.transactional ? { transactionalId: 'relay' } : {}) };
  const messages = records.map((value) => ({ ...clientMessage({ topic: 'events', partition: 3, value }), timestamp }));
  return createRecordsBatch(messages, options).buffer;
}

function record(payload: string | null, headers: Readonly<Record<string, string>> = {}, key = 'session') {
  return { key: key as SessionId, payload, headers };
}

/** Lengths on both sides of where a length takes one more byte, in texts of one to four bytes a character. */
const LENGTHS = [0, 1, 20, 31, 32, 62, 63, 64, 65, 2_730, 2_731, 4_095, 4_096, 8_100, 8_191, 8_192, 8_193];
const CHARACTERS = ['a', 'é', '→', '𝄞'];

const TEXT = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 80 }),
  fc.string({ unit: 'grapheme-ascii', maxLength: 80 }),
  fc
    .tuple(fc.constantFrom(...CHARACTERS), fc.constantFrom(...LENGTHS))
    .map(([character, length]) => character.repeat(length)),
);

const RECORD = fc
  .tuple(TEXT, fc.option(TEXT), fc.dictionary(fc.string({ unit: 'grapheme' }), TEXT, { maxKeys: 12 }))
  .map(([key, payload, headers]) => record(payload, headers, key));

const HEADS: fc.Arbitrary<BatchHead> = fc.record({
  timestamp: fc.bigInt({ min: 0n, max: 2n ** 62n }),
  producerId: fc.bigInt({ min: -1n, max: 2n ** 63n - 1n }),
  producerEpoch: fc.integer({ min: -1, max: 2 ** 15 - 1 }),
  firstSequence: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  transactional: fc.boolean(),
});

test('a batch has the bytes that the client writes', () => {
  const samples = fc.tuple(fc.array(RECORD, { minLength: 1, maxLength: 20 }), HEADS);
  fc.assert(
    fc.property(samples, ([records, head]) => {
      expect(encodeBatch(records, head).equals(byClient(records, head))).toBe(true);
    }),
  );
});

test.for(LENGTHS)('%d characters have the same length, whatever they take in bytes', (length) => {
  const texts = CHARACTERS.map((character) => character.repeat(length));
  const records = texts.flatMap((text) => [
    record(text),
    record(null, { [text]: text }),
    record('', { a: text }, text),
  ]);
  expect(encodeBatch(records, HEAD).equals(byClient(records, HEAD))).toBe(true);
});

test('a record takes its own length’s bytes, also where one more or less would do', () => {
  for (const around of [60, 8_190]) {
    for (let length = around - 30; length < around + 30; length += 1) {
      const records = [record('x'.repeat(length)), record('x'.repeat(length), { a: 'ä', b: '' })];
      expect(encodeBatch(records, HEAD).equals(byClient(records, HEAD))).toBe(true);
    }
  }
});

test('more records than fit beside the first, small one, and offsets of three bytes', () => {
  const records = Array.from({ length: 9_000 }, (_, index) => record('x'.repeat(index % 50)));
  const mixed = [record(null, {}, ''), ...records, record('é'.repeat(1_100_000)), record('y'.repeat(1_100_000))];
  expect(encodeBatch(mixed, HEAD).equals(byClient(mixed, HEAD))).toBe(true);
});

test('what is written is read again', () => {
  const records = [record('{"a":"ö"}', { name: 'value', empty: '' }), record(null, { discarded: 'true' }, 'ключ')];
  const [batch] = readBatches(encodeBatch(records, { ...HEAD, producerId: 7n, transactional: true }));
  expect(batch).toMatchObject({ producerId: 7n, transactional: true, control: false, lastOffset: 1n });
  expect(batch?.records()).toMatchObject([
    {
      key: 'session',
      value: '{"a":"ö"}',
      headers: new Map([
        ['name', 'value'],
        ['empty', ''],
      ]),
    },
    { key: 'ключ', value: null, headers: new Map([['discarded', 'true']]), timestamp: 1_700_000_000_123 },
  ]);
});
