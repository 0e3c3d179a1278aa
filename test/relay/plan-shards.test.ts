import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { planShards } from '../../src/relay/plan-shards.ts';
import type { GroupView } from '../../src/relay/ports.ts';

/** Owners of shards 0, 1, 2…; null: vacant. */
type Owners = readonly (number | null)[];

/** Owner of a shard that nobody may take yet: its lease has not expired, and it is no member any more. */
const GHOST = 99;

function viewOf(members: readonly number[], owners: Owners): GroupView {
  return {
    members: members.toSorted((one, other) => one - other),
    shards: owners.map((owner, shard) => ({ shard, owner, vacant: owner === null, epoch: 1, paused: false })),
  };
}

/** Everybody gives back and takes, one after the other, each by a fresh view. */
function round(members: readonly number[], owners: Owners): Owners {
  let now = [...owners];
  for (const me of members) {
    const { acquire, leave } = planShards(viewOf(members, now), me);
    now = now.map((owner, shard) => {
      if (acquire.includes(shard)) return me;
      return leave.includes(shard) ? null : owner;
    });
  }
  return now;
}

/**
 * Three rounds: while one gives back, another's holding changes who gets the larger share, so a shard may be given back one round later.
 */
function settle(members: readonly number[], owners: Owners): Owners {
  return round(members, round(members, round(members, owners)));
}

function countsOf(members: readonly number[], owners: Owners): readonly number[] {
  return members.map((member) => owners.filter((owner) => owner === member).length);
}

const members = fc.shuffledSubarray([1, 2, 3, 5, 8, 13], { minLength: 1 });
const group = members.chain((alive) =>
  fc.record({
    members: fc.constant(alive),
    owners: fc.array(fc.constantFrom(null, ...alive), { minLength: 1, maxLength: 24 }),
  }),
);
const groupWithGhosts = members.chain((alive) =>
  fc.record({
    members: fc.constant(alive),
    owners: fc.array(fc.constantFrom(null, GHOST, ...alive), { minLength: 1, maxLength: 24 }),
  }),
);

describe('the plan of a member', () => {
  test('leads to shares that differ by one at most, within three rounds, and then rests', () => {
    fc.assert(
      fc.property(group, ({ members, owners }) => {
        const settled = settle(members, owners);
        const counts = countsOf(members, settled);
        expect(settled).not.toContain(null);
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
        expect(round(members, settled)).toEqual(settled);
      }),
    );
  });

  test('moves no more shards than it must', () => {
    fc.assert(
      fc.property(group, ({ members, owners }) => {
        const settled = settle(members, owners);
        const moved = owners.filter((owner, shard) => owner !== null && settled[shard] !== owner).length;
        const [least, larger] = [Math.floor(owners.length / members.length), owners.length % members.length];
        const shares = members.map((_, place) => least + (place < larger ? 1 : 0));
        // The largest holders get the largest shares: there is no assignment that leaves more where they are.
        const held = countsOf(members, owners).toSorted((one, other) => other - one);
        const surplus = held.map((count, place) => Math.max(0, count - (shares[place] ?? 0)));
        expect(moved).toBe(surplus.reduce((sum, count) => sum + count, 0));
      }),
    );
  });

  test('takes vacant shards only, and of one view no two members plan the same', () => {
    fc.assert(
      fc.property(groupWithGhosts, ({ members, owners }) => {
        const view = viewOf(members, owners);
        const plans = members.map((me) => planShards(view, me));
        const acquired = plans.flatMap(({ acquire }) => acquire);
        expect(new Set(acquired).size).toBe(acquired.length);
        expect(acquired.filter((shard) => owners[shard] !== null)).toEqual([]);
        expect(plans.filter(({ acquire, leave }) => acquire.length > 0 && leave.length > 0)).toEqual([]);
      }),
    );
  });

  test('gives back its own only, and only if somebody lacks as many', () => {
    fc.assert(
      fc.property(groupWithGhosts, ({ members, owners }) => {
        const view = viewOf(members, owners);
        const given = members.flatMap((me) => planShards(view, me).leave.map((shard) => ({ me, shard })));
        expect(given.filter(({ me, shard }) => owners[shard] !== me)).toEqual([]);
        const least = Math.floor(owners.length / members.length);
        const most = Math.ceil(owners.length / members.length);
        const counts = countsOf(members, owners);
        const lacking = counts.reduce((sum, count) => sum + Math.max(0, most - count), 0);
        expect(given.length).toBeLessThanOrEqual(lacking);
        if (counts.every((count) => count >= least && count <= most)) expect(given).toEqual([]);
      }),
    );
  });

  test('is to take and give nothing when the view does not know it', () => {
    expect(planShards(viewOf([1, 2], [1, null, 2]), 3)).toEqual({ acquire: [], leave: [] });
    expect(planShards(viewOf([], [null]), 1)).toEqual({ acquire: [], leave: [] });
  });

  test('leaves more members than shards without any', () => {
    expect([1, 2, 3].map((me) => planShards(viewOf([1, 2, 3], [null, null]), me).acquire)).toEqual([[0], [1], []]);
  });

  test('says which shards, lowest first to take and highest first to give back', () => {
    expect(planShards(viewOf([1, 2], [1, 1, 1, 1]), 1)).toEqual({ acquire: [], leave: [2, 3] });
    expect(planShards(viewOf([1, 2], [null, 2, null, null]), 1)).toEqual({ acquire: [2, 3], leave: [] });
  });
});
