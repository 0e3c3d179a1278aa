import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { murmur2, shardOf } from '../../src/outbox/shard.ts';

/** What org.apache.kafka.common.utils.Utils (kafka-clients 4.3.1) says: murmur2 of the UTF-8 bytes, and the partition of 8 and of 12. */
const KAFKA: readonly [key: string, hash: number, of8: number, of12: number][] = [
  ['', 275646681, 1, 9],
  ['a', -1563381124, 4, 4],
  ['ab', 316155434, 2, 2],
  ['abc', 479470107, 3, 3],
  ['abcd', -1323649548, 4, 8],
  ['abcde', 461995741, 5, 1],
  ['21', -973932308, 4, 0],
  ['foobar', -790332482, 6, 6],
  ['a-little-bit-long-string', -985981536, 0, 8],
  ['a-little-bit-longer-string', -1486304829, 3, 11],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971, 5, 5],
  ['018f3a5c-7b1e-7c3d-9f21-3a4b5c6d7e8f', 68865316, 4, 4],
  ['科幻', -1961674529, 7, 3],
  ['悬疑小说', -1639297898, 6, 6],
  ['😀', 131881617, 1, 9],
  ['\u00ff\u0080', 321056892, 4, 0],
];

describe('murmur2', () => {
  it.each(KAFKA)("of '%s' is what Kafka says", (key, hash) => {
    expect(murmur2(Buffer.from(key))).toBe(hash);
  });

  it('takes every byte, above 127 too', () => {
    expect(murmur2(Uint8Array.from({ length: 256 }, (_, byte) => byte))).toBe(-1948347274);
  });

  it('reads nothing before or behind its bytes', () => {
    const around = Buffer.from('xxxfoobarxxx');
    expect(murmur2(around.subarray(3, 9))).toBe(-790332482);
  });
});

describe('the shard of a key', () => {
  it.each(KAFKA)("'%s' is the partition that Kafka's default partitioner chooses", (key, _, of8, of12) => {
    expect([shardOf(key, 8), shardOf(key, 12)]).toEqual([of8, of12]);
  });

  it('is always one of the shards, and always the same', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 1_000 }), (key, shards) => {
        const shard = shardOf(key, shards);
        expect(Number.isInteger(shard) && shard >= 0 && shard < shards).toBe(true);
        expect(shardOf(key, shards)).toBe(shard);
      }),
    );
  });

  it('spreads session ids over all shards', () => {
    const ids = Array.from({ length: 1_000 }, (_, n) => `01900000-0000-7000-8000-${String(n).padStart(12, '0')}`);
    const counts = Map.groupBy(ids, (id) => shardOf(id, 8));
    expect(counts.size).toBe(8);
    for (const { length } of counts.values()) expect(length).toBeGreaterThan(75);
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('cannot be one of %d', (shards) => {
    expect(() => shardOf('a', shards)).toThrow(new RangeError(`shards must be a whole number from 1, not ${shards}`));
  });
});
