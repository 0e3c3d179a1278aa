import { beforeEach, describe, expect, test, vi } from 'vitest';
import { LeaseKeeper } from '../../src/relay/lease-keeper.ts';
import { LeaseLost, type Membership, type ShardReport } from '../../src/relay/ports.ts';
import { SimulatedGroup } from './simulated-relay-group.ts';
import { SimulatedTime } from './simulated-time.ts';

/** What a lease is trusted for: nine tenths of the simulated group's five seconds. */
const TRUSTED = 4_500;

let time: SimulatedTime;
let group: SimulatedGroup;
/** How much later it is for the keeper. */
let frozenFor: number;

beforeEach(() => {
  time = new SimulatedTime();
  frozenFor = 0;
  group = new SimulatedGroup(time, () => 0.5, { shards: 4, rate: 1, trouble: 0, defect: undefined });
});

interface Kept {
  readonly keeper: LeaseKeeper;
  readonly membership: Membership;
  /** The connection ends. */
  readonly end: (late: number) => void;
}

function keep(): Kept {
  const { membership, end } = group.connect((run) => run());
  return { keeper: new LeaseKeeper(membership, () => time.now + frozenFor), membership, end };
}

/** Time goes on until the calls have their answers. */
async function during<Result>(call: Promise<Result>): Promise<Result> {
  // Whoever rejects is looked at below.
  call.catch(() => {});
  await pass(20);
  return call;
}

async function pass(milliseconds: number): Promise<void> {
  await time.settle();
  await time.run(time.now + milliseconds, () => {});
}

function report(shard: number): ShardReport {
  return { shard, floor: 1, position: '0', state: 'active', lastProgressAt: null, lastError: null };
}

const heldBy = (keeper: LeaseKeeper) => [0, 1, 2, 3].filter((shard) => keeper.holds(shard));

describe('a keeper', () => {
  test('takes its share with its first beat', async () => {
    const { keeper } = keep();
    expect(heldBy(keeper)).toEqual([]);
    const { acquired, leave, paused } = await during(keeper.beat([]));
    expect(acquired.map(({ shard, epoch }) => ({ shard, epoch }))).toEqual(
      [0, 1, 2, 3].map((shard) => ({ shard, epoch: 1 })),
    );
    expect({ leave, paused }).toEqual({ leave: [], paused: [] });
    expect(heldBy(keeper)).toEqual([0, 1, 2, 3]);
    expect((await during(keeper.beat([]))).acquired).toEqual([]);
  });

  test('tells what it has taken in order, whatever order the database has', async () => {
    const { membership } = keep();
    const acquire = membership.acquire.bind(membership);
    vi.spyOn(membership, 'acquire').mockImplementation(async (shards) => (await acquire(shards)).toReversed());
    const { acquired } = await during(new LeaseKeeper(membership, () => time.now).beat([]));
    expect(acquired.map(({ shard }) => shard)).toEqual([0, 1, 2, 3]);
  });

  test('gives back what another one lacks, and the other one gets it', async () => {
    const { keeper } = keep();
    await during(keeper.beat([]));
    const { keeper: newcomer } = keep();
    expect((await during(newcomer.beat([]))).acquired).toEqual([]);
    expect((await during(keeper.beat([]))).leave).toEqual([2, 3]);
    expect(heldBy(keeper)).toEqual([0, 1, 2, 3]);
    const releasing = keeper.release([report(2), report(3)]);
    expect(heldBy(keeper)).toEqual([0, 1]);
    await during(releasing);
    expect((await during(newcomer.beat([]))).acquired.map(({ shard }) => shard)).toEqual([2, 3]);
    expect((await during(keeper.beat([]))).leave).toEqual([]);
    expect(keeper.lost.aborted).toBe(false);
  });

  test('can give back while a beat is on its way', async () => {
    const { keeper } = keep();
    await during(keeper.beat([]));
    const beating = keeper.beat([]);
    await during(keeper.release([report(3)]));
    const { acquired } = await beating;
    expect(acquired).toEqual([]);
    expect(heldBy(keeper)).toEqual([0, 1, 2]);
    expect(keeper.lost.aborted).toBe(false);
  });

  test('keeps what the database refused to take back', async () => {
    const { keeper, membership } = keep();
    await during(keeper.beat([]));
    vi.spyOn(membership, 'release').mockRejectedValueOnce(new Error('canceling statement due to lock timeout'));
    await expect(during(keeper.release([report(1)]))).rejects.toThrow(/lock timeout/);
    expect(heldBy(keeper)).toEqual([0, 1, 2, 3]);
  });
});

describe('a lease', () => {
  test('is trusted for less than its term, counted from before its renewal was sent', async () => {
    const { keeper } = keep();
    await during(keeper.beat([]));
    const sent = time.now;
    await during(keeper.beat([]));
    await pass(sent + TRUSTED - 1 - time.now);
    expect(heldBy(keeper)).toEqual([0, 1, 2, 3]);
    expect(keeper.lost.aborted).toBe(false);
    await pass(1);
    expect(heldBy(keeper)).toEqual([]);
    expect(keeper.lost.aborted).toBe(true);
    expect(String(keeper.lost.reason)).toMatch(/shard 0 was not renewed in time/);
  });

  test('that was acquired is trusted from before that was sent', async () => {
    const { keeper } = keep();
    const began = time.now;
    await during(keeper.beat([]));
    // A beat, then the acquisition: each takes 1.5 ms there and 1.5 ms back.
    await pass(began + 3 + TRUSTED - 0.1 - time.now);
    expect(heldBy(keeper)).toEqual([0, 1, 2, 3]);
    await pass(0.1);
    expect(heldBy(keeper)).toEqual([]);
  });

  test('that has ended by our clock is not saved by an answer', async () => {
    const { keeper } = keep();
    await during(keeper.beat([]));
    const beating = keeper.beat([]);
    // The answer comes while the process is frozen.
    frozenFor = TRUSTED;
    await expect(during(beating)).rejects.toThrow(LeaseLost);
    expect(heldBy(keeper)).toEqual([]);
    await expect(keeper.beat([])).rejects.toThrow(LeaseLost);
    await expect(keeper.release([report(0)])).rejects.toThrow(LeaseLost);
  });

  test('that the database does not renew ends the membership', async () => {
    const { keeper, membership } = keep();
    await during(keeper.beat([]));
    group.release(membership.id, [2]);
    await expect(during(keeper.beat([]))).rejects.toThrow(/the lease of shard 2 is gone/);
    expect(keeper.lost.aborted).toBe(true);
    expect(heldBy(keeper)).toEqual([]);
  });
});

describe('the membership', () => {
  test('ends with its connection', async () => {
    const { keeper, end } = keep();
    await during(keeper.beat([]));
    end(0);
    expect(keeper.lost.aborted).toBe(true);
    expect(heldBy(keeper)).toEqual([]);
    await expect(keeper.beat([])).rejects.toThrow(LeaseLost);
  });

  test('that has expired ends though it held nothing', async () => {
    const { keeper } = keep();
    await pass(5_001);
    await expect(during(keeper.beat([]))).rejects.toThrow(/the membership has expired/);
    expect(keeper.lost.aborted).toBe(true);
  });

  test('goes on after a beat that the database refused', async () => {
    const { keeper, membership } = keep();
    await during(keeper.beat([]));
    vi.spyOn(membership, 'beat').mockRejectedValueOnce(new Error('canceling statement due to statement timeout'));
    await expect(during(keeper.beat([]))).rejects.toThrow(/statement timeout/);
    expect(heldBy(keeper)).toEqual([0, 1, 2, 3]);
    await during(keeper.beat([]));
    expect(keeper.lost.aborted).toBe(false);
  });
});
