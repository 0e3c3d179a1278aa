import { expect, test } from 'vitest';
import { OwnedShards } from '../../src/relay/owned-shards.ts';

/** Active shards 0, 1, … */
function owning(floors: readonly number[]): OwnedShards {
  const shards = new OwnedShards({ first: 1, most: 1 });
  for (const [shard, floor] of floors.entries()) {
    shards.add({ shard, epoch: 1, floor, position: '0', predecessors: [] });
  }
  for (const owned of shards.all()) shards.activate(owned);
  return shards;
}

function claims(shards: OwnedShards, alsoHeld: boolean): number[][] {
  return shards.nextClaims(alsoHeld).map((part) => part.map(({ shard }) => shard));
}

test('shards that are about as far are claimed together', () => {
  expect(claims(owning([1, 50_001, 2]), true)).toEqual([[0, 1, 2]]);
});

test('shards far behind the others and these come first by turns; claims in between have turns of their own', () => {
  const shards = owning([1, 60_000, 2]);
  const [behind, ahead] = [[0, 2], [1]];
  // By one turn for both, all claims of a kind would begin with the same.
  for (let round = 0; round < 3; round += 1) {
    expect(claims(shards, true)).toEqual([behind, ahead]);
    expect(claims(shards, false)).toEqual([behind, ahead]);
    expect(claims(shards, true)).toEqual([ahead, behind]);
    expect(claims(shards, false)).toEqual([ahead, behind]);
  }
});
