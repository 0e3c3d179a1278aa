import type { GroupView } from './ports.ts';

/** What a member is to do next about its share of the shards. */
export interface ShardPlan {
  /** Vacant shards to take now; no other member that sees the same plans to take one of them. */
  readonly acquire: readonly number[];
  /** Shards to give back as soon as nothing of theirs is on its way. */
  readonly leave: readonly number[];
}

interface Part {
  readonly member: number;
  /** Shards that it holds, ascending. */
  readonly held: readonly number[];
  /** How many it should hold. */
  readonly share: number;
}

/**
 * Every member works out the same from the same view: shares that differ by one at most, of which those that hold most get the larger
 * ones, so that as little as possible moves. A member keeps what it holds up to its share, gives back the rest (another one then
 * lacks as many), and takes vacant shards up to its share.
 */
export function planShards(view: GroupView, me: number): ShardPlan {
  const parts = shareOut(view);
  const vacant = view.shards.filter((shard) => shard.vacant).map(({ shard }) => shard);
  let taken = 0;
  for (const { member, held, share } of parts) {
    const lacks = Math.max(0, share - held.length);
    if (member === me) {
      return { acquire: vacant.slice(taken, taken + lacks), leave: held.slice(share) };
    }
    taken += lacks;
  }
  return { acquire: [], leave: [] };
}

function shareOut({ members, shards }: GroupView): readonly Part[] {
  const holders = members
    .map((member) => ({
      member,
      held: shards.filter(({ owner, vacant }) => owner === member && !vacant).map(({ shard }) => shard),
    }))
    .toSorted((one, other) => other.held.length - one.held.length || one.member - other.member);
  const least = Math.floor(shards.length / members.length);
  const larger = shards.length % members.length;
  return holders.map((holder, place) => ({ ...holder, share: least + (place < larger ? 1 : 0) }));
}
