import { createRecordsBatch } from '@platformatic/kafka';
import { expect, test } from 'vitest';
import { MalformedBatch, readBatches } from '../../src/kafka/record-batch.ts';

/** As the client writes it; the broker puts the offset in. */
function batch(...values: readonly string[]): Buffer {
  const messages = values.map((value) => ({ topic: 'events', value: Buffer.from(value), timestamp: 1n }));
  return Buffer.from(createRecordsBatch(messages).buffer);
}

function valuesOf(bytes: Buffer) {
  return readBatches(bytes).flatMap((one) => one.records().map(({ value }) => value));
}

test('batches follow each other', () => {
  expect(valuesOf(Buffer.concat([batch('a', 'b'), batch('c')]))).toEqual(['a', 'b', 'c']);
});

test('a last batch that is cut off, wherever, is left away', () => {
  const [whole, cut] = [batch('a'), batch('b')];
  for (let length = 0; length < cut.length; length += 1) {
    expect(valuesOf(Buffer.concat([whole, cut.subarray(0, length)]))).toEqual(['a']);
  }
});

test('a batch that was damaged on its way is no batch', () => {
  const bytes = batch('a');
  for (const at of [21, 30, bytes.length - 2]) {
    const damaged = Buffer.from(bytes);
    damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
    expect(() => valuesOf(damaged)).toThrow(MalformedBatch);
  }
});

test('another format is not read as this one', () => {
  const bytes = batch('a');
  bytes.writeInt8(1, 16);
  expect(() => readBatches(bytes)).toThrow('a batch of records has format 1, only 2 is understood');
});
