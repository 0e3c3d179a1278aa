import { v7, version } from 'uuid';
import { describe, expect, it } from 'vitest';
import { createUuidGenerator } from '../../src/commands/uuid-generator.ts';

const NOW = 1_763_900_000_123;

function timeOf(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

describe('a new UUID', () => {
  it('is a version 7 of the given millisecond', () => {
    const newUuid = createUuidGenerator();
    for (const now of [0, 1, 2 ** 32 - 1, 2 ** 32, NOW, 2 ** 48 - 1]) {
      const id = newUuid(now);
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect([version(id), timeOf(id)]).toEqual([7, now]);
    }
  });

  it('is of this moment unless told otherwise', () => {
    const newUuid = createUuidGenerator();
    const before = Date.now();
    expect(timeOf(newUuid())).toBeGreaterThanOrEqual(before);
    expect(timeOf(newUuid())).toBeLessThanOrEqual(Date.now());
  });

  it('is above all before it, within a millisecond and when the clock goes back', () => {
    const newUuid = createUuidGenerator();
    const ids = Array.from({ length: 2_000 }, () => newUuid(NOW));
    ids.push(...Array.from({ length: 2_000 }, (_, index) => newUuid(NOW - index)));
    ids.push(newUuid(NOW + 1));
    expect(ids.toSorted()).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('counts where the library counts: the bits of an id and its successor agree but for the counter and the random end', () => {
    const newUuid = createUuidGenerator();
    const [first, second] = [newUuid(NOW), newUuid(NOW)].map((id) => BigInt(`0x${id.replaceAll('-', '')}`)) as [
      bigint,
      bigint,
    ];
    /** 12 bits before the variant, then 20 behind it (uuid: updateV7State, v7Bytes). */
    const counter = (id: bigint): bigint => (((id >> 64n) & 0xfffn) << 20n) | ((id >> 42n) & 0xfffffn);
    expect(counter(second) - counter(first)).toBe(1n);
    const of = (seq: number): bigint => {
      const id = v7({ msecs: NOW, seq, random: new Uint8Array(16) });
      return counter(BigInt(`0x${id.replaceAll('-', '')}`));
    };
    expect([of(0), of(1), of(0x1234_5678)]).toEqual([0n, 1n, 0x1234_5678n]);
  });

  it('repeats no random end in more ids than one drawing lasts for, and uses all of its bits', () => {
    const newUuid = createUuidGenerator();
    const ends = Array.from({ length: 5_000 }, () => newUuid(NOW).slice(24));
    expect(new Set(ends).size).toBe(ends.length);
    const bits = (combine: (a: bigint, b: bigint) => bigint): bigint =>
      ends.map((end) => BigInt(`0x${end}`) & 0xff_ffff_ffffn).reduce(combine);
    expect([bits((a, b) => a | b), bits((a, b) => a & b)]).toEqual([0xff_ffff_ffffn, 0n]);
  });

  it('begins its counter anew, and below its middle, with each millisecond', () => {
    const newUuid = createUuidGenerator();
    const starts = Array.from({ length: 500 }, (_, index) => newUuid(NOW + index).slice(15, 18));
    expect(new Set(starts).size).toBeGreaterThan(100);
    expect(starts.every((start) => Number.parseInt(start, 16) < 0x800)).toBe(true);
  });
});
