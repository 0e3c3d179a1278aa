import { expect, test, vi } from 'vitest';
import type { ClaimedRow, ClaimRequest } from '../../src/relay/ports.ts';
import { claimedRow } from './claimed-row.ts';
import { DrainRig } from './drain-rig.ts';

const row = (id: number, shard = 0): ClaimedRow => claimedRow(id, shard, String(id));
/** Of a session on hold; it was refused once and goes by itself. */
const refused = (id: number): ClaimedRow => ({ ...claimedRow(id, 0, String(id), 1), held: true });

/** Gives these with the first claim, and then what comes after them. */
function first(
  rows: readonly ClaimedRow[],
  then: (request: ClaimRequest) => readonly ClaimedRow[],
): (request: ClaimRequest) => readonly ClaimedRow[] {
  let begun = false;
  return (request) => {
    if (begun) return then(request);
    begun = true;
    return rows;
  };
}

/** A row that nobody has seen before, with each claim. */
function endless(): () => readonly ClaimedRow[] {
  let id = 100;
  return () => [row((id += 1))];
}

test('rows on hold go one by one, and with each of them what others have committed: without an end, too', async () => {
  const rig = new DrainRig({
    claimed: first([refused(1), refused(2), refused(3)], endless()),
    sending: ({ work }) => work.wake(),
  });
  expect(await rig.run(9)).toEqual([
    'claim of 0',
    'send 1',
    'claim in between of 0',
    'send 101',
    'send 2',
    'claim in between of 0',
    'send 102',
    'send 3',
    // None is left.
    'claim of 0',
  ]);
});

test('while rows on hold go one by one, nobody asks for others without a hint before the next poll is due', async () => {
  const claimed = first([refused(1), refused(2), refused(3)], () => []);
  expect(await new DrainRig({ claimed }).run(5)).toEqual(['claim of 0', 'send 1', 'send 2', 'send 3', 'claim of 0']);
});

test('while rows on hold go one by one, others whose hint was lost are found when the next poll is due', async () => {
  const claimed = first([refused(1), refused(2)], endless());
  expect(await new DrainRig({ claimed, pollInterval: 0 }).run(5)).toEqual([
    'claim of 0',
    'send 1',
    'claim in between of 0',
    'send 101',
    'send 2',
  ]);
});

test('shards far behind the others and these are claimed by turns, without a hint: each while the rows of the other go', async () => {
  const claimsOf = ({ steps }: DrainRig) => steps.filter((step) => step.startsWith('claim')).length;
  let id = 0;
  const rig = new DrainRig({
    floors: [1, 60_000],
    claimed: ({ shards }) => shards.map((shard) => row((id += 1), shard)),
    sending: async (here) => {
      const before = claimsOf(here);
      await vi.waitFor(() => expect(claimsOf(here)).toBeGreaterThan(before));
    },
  });
  expect(await rig.run(7)).toEqual([
    'claim of 0',
    'send 1',
    'claim of 1',
    'send 2',
    'claim of 0',
    'send 3',
    'claim of 1',
  ]);
});

test('without a backlog or a hint nothing is claimed while a send is on its way', async () => {
  let onItsWay = false;
  const claimedBeside: boolean[] = [];
  const others = first([row(1)], () => []);
  const rig = new DrainRig({
    claimed: (request) => {
      claimedBeside.push(onItsWay);
      return others(request);
    },
    sending: async () => {
      onItsWay = true;
      // Whatever goes on beside it has begun.
      await new Promise((resolve) => void setImmediate(resolve));
      onItsWay = false;
    },
  });
  expect(await rig.run(3)).toEqual(['claim of 0', 'send 1', 'claim of 0']);
  expect(claimedBeside).toEqual([false, false]);
});

test('a partition that was away is tried with a row on hold, if there is no other', async () => {
  const waiting = [refused(1)];
  const rig = new DrainRig({ claimed: ({ alsoHeld }) => (alsoHeld ? waiting.splice(0) : []) });
  const steps = await rig.run(2, (shards) => shards.unavailable(0, 'no leader', -Infinity));
  expect(steps).toEqual(['claim of 0', 'probe 1']);
});

test('what a claim gives of a session from before what is in memory of it ends the drain, and is not sent', async () => {
  const later = { ...row(2), sequence: 2 };
  const earlier = { ...row(3), key: later.key, sequence: 1 };
  const rig = new DrainRig({ claimed: first([later], () => [earlier]), sending: ({ work }) => work.wake() });
  await expect(rig.run(3)).rejects.toThrow(`row 3: version 1 of session ${later.key} after version 2`);
  expect(rig.steps).toEqual(['claim of 0', 'send 2', 'claim of 0']);
});
