import { describe, expect, it } from 'vitest';
import { RecentRecords } from '../../src/operations/recent-records.ts';
import { SessionHeads } from '../../src/operations/session-heads.ts';

describe('what is remembered of sessions', () => {
  const kinds = (heads: SessionHeads, ...places: readonly (readonly [string, number])[]) =>
    places.map(([id, sequence]) => heads.place(id, sequence).kind);

  it('tells next, repeated, ahead and late', () => {
    const heads = new SessionHeads(10);
    expect(
      kinds(heads, ['a', 1], ['a', 2], ['a', 1], ['a', 5], ['a', 4], ['a', 4], ['a', 6], ['b', 7], ['b', 8]),
    ).toEqual(['next', 'next', 'repeated', 'ahead', 'late', 'repeated', 'next', 'unknown', 'next']);
    expect(heads.place('a', 9)).toEqual({ kind: 'ahead', after: 6 });
  });

  it('takes for late what was known otherwise to be passed over', () => {
    const heads = new SessionHeads(10);
    heads.place('a', 7);
    heads.passedOver('a', 6);
    expect(kinds(heads, ['a', 6], ['a', 5])).toEqual(['late', 'repeated']);
  });

  it('forgets the session that was heard of longest ago', () => {
    const heads = new SessionHeads(2);
    expect(kinds(heads, ['a', 1], ['b', 1], ['a', 2], ['c', 1], ['a', 3], ['b', 2])).toEqual([
      'next',
      'next',
      'next',
      'next',
      'next',
      'unknown',
    ]);
  });
});

describe('what is remembered of records', () => {
  const [one, other] = ['01900000-0000-7000-8000-0000000000aa', '01900000-0000-7000-8000-0000000000bb'];

  it('tells which event was at a place, until it is forgotten', () => {
    const recent = new RecentRecords(3);
    for (let offset = 0n; offset < 4n; offset += 1n) recent.add(1, offset, offset === 2n ? other : one);
    expect([recent.holds(1, 1n, one), recent.holds(1, 2n, one), recent.holds(1, 2n, other)]).toEqual([
      true,
      false,
      true,
    ]);
    expect([recent.holds(1, 0n, one), recent.holds(1, 4n, one), recent.holds(2, 1n, one)]).toEqual([null, null, null]);
  });
});
