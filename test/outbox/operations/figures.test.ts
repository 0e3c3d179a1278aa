import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { countBacklogs, type CountLimits } from '../../../src/outbox/operations/figures.ts';
import type { CountLook, OperationsStore, ShardCount, ShardFacts } from '../../../src/outbox/operations/ports.ts';
import type { SessionId } from '../../../src/genesis/ids.ts';

const LIMITS: CountLimits = { rows: 100, step: 10, time: 60_000 };

const shard = (number: number, floor: number): ShardFacts => ({
  shard: number,
  owner: null,
  leaseExpiresIn: null,
  state: 'free',
  paused: false,
  topicAheadAt: null,
  epoch: 0,
  floor,
  position: '0',
  lastProgressAt: null,
  lastError: null,
});

const countOf = (number: number, changes: Partial<ShardCount> = {}): ShardCount => ({
  shard: number,
  pending: 0,
  waitingForRetry: 0,
  held: 0,
  failed: 0,
  discarded: 0,
  sessionsOnHold: 0,
  oldestAge: null,
  ...changes,
});

/** A row of a table: the id is its place, from 1. */
interface Row {
  readonly shard: number;
  readonly pending: boolean;
}

/** A store over such a table, and how many rows it was asked to read. */
function storeOver(rows: readonly Row[], held: readonly CountLook<SessionId>[] = []) {
  const read = { rows: 0 };
  const store: Pick<OperationsStore, 'countOrdinary' | 'countHeld'> = {
    async countOrdinary(fromId, limit) {
      const seen = rows.slice(fromId - 1, fromId - 1 + limit);
      read.rows += seen.length;
      const shards = Map.groupBy(seen, (row) => row.shard);
      const counts = [...shards].map(([number, of]) => {
        const pending = of.filter((row) => row.pending).length;
        return countOf(number, { pending, oldestAge: pending === 0 ? null : of.length });
      });
      const next = seen.length < limit ? null : fromId + seen.length;
      return { counts, complete: true, examined: seen.length, next };
    },
    async countHeld(after) {
      return held[after === null ? 0 : Number(after)] ?? { counts: [], complete: true, examined: 0, next: null };
    },
  };
  return { store, read };
}

const rowsOf = (length: number, row: (id: number) => Row) => Array.from({ length }, (_, index) => row(index + 1));

describe('counting what is not published', () => {
  it('counts each shard from the lowest floor to the end', async () => {
    const { store } = storeOver(rowsOf(35, (id) => ({ shard: id % 2, pending: id > 20 })));
    const { total, shards } = await countBacklogs(store, [shard(0, 12), shard(1, 21)], LIMITS);
    expect(total).toMatchObject({ pending: 15, complete: true });
    expect(shards.get(0)).toMatchObject({ pending: 7, complete: true });
    expect(shards.get(1)).toMatchObject({ pending: 8, complete: true });
  });

  it('says that there are more when they are too many, and stops', async () => {
    const { store, read } = storeOver(rowsOf(1_000, () => ({ shard: 0, pending: true })));
    const { total } = await countBacklogs(store, [shard(0, 1), shard(1, 1)], LIMITS);
    expect(total).toMatchObject({ pending: 100, complete: false });
    expect(read.rows).toBe(100);
  });

  it('sees the others beside a shard that lags behind by far, and says whom it has not seen wholly', async () => {
    const { store, read } = storeOver(rowsOf(1_000, (id) => ({ shard: id % 4, pending: id % 4 === 0 || id > 980 })));
    const { shards } = await countBacklogs(store, [shard(0, 1), shard(1, 981), shard(2, 985), shard(3, 990)], LIMITS);
    expect(shards.get(0)).toMatchObject({ complete: false });
    for (const number of [1, 2, 3])
      expect(shards.get(number), `${number}`).toMatchObject({ pending: 5, complete: true });
    expect(read.rows).toBeLessThanOrEqual(110);
  });

  it('adds what sessions on hold keep back, and says when that was cut', async () => {
    const one = countOf(0, { pending: 3, held: 2, failed: 1, sessionsOnHold: 1, oldestAge: 50 });
    const looks: readonly CountLook<SessionId>[] = [
      { counts: [one], complete: true, examined: 4, next: '1' as SessionId },
      {
        counts: [countOf(1, { waitingForRetry: 1, pending: 1, sessionsOnHold: 1 })],
        complete: false,
        examined: 2,
        next: null,
      },
    ];
    const { store } = storeOver([{ shard: 0, pending: true }], looks);
    const { total, shards } = await countBacklogs(store, [shard(0, 1), shard(1, 1)], LIMITS);
    expect(shards.get(0)).toEqual({ ...one, shard: undefined, pending: 4, complete: true });
    expect(shards.get(1)).toMatchObject({ pending: 1, complete: false });
    expect(total).toMatchObject({ pending: 5, failed: 1, sessionsOnHold: 2, oldestAge: 50, complete: false });
  });

  it('looks at sessions on hold for as long as the bound lets it', async () => {
    const look: CountLook<SessionId> = {
      counts: [countOf(0, { held: 30 })],
      complete: true,
      examined: 30,
      next: '0' as SessionId,
    };
    const { store } = storeOver([], [look]);
    expect((await countBacklogs(store, [shard(0, 1)], LIMITS)).total).toMatchObject({ held: 120, complete: false });
  });

  it('stops when its time is over, and says so', async () => {
    const { store, read } = storeOver(rowsOf(50, () => ({ shard: 0, pending: true })));
    const { total } = await countBacklogs(store, [shard(0, 1)], { ...LIMITS, time: 0 });
    expect(total).toMatchObject({ pending: 10, complete: false });
    expect(read.rows).toBe(10);
  });

  it('leaves half of its time to the shards that do not lag behind', async () => {
    const { store, read } = storeOver(rowsOf(1_000, (id) => ({ shard: id % 4, pending: true })));
    let time = 0;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => (time += 10));
    onTestFinished(() => clock.mockRestore());
    const limits = { rows: 10_000, step: 10, time: 300 };
    const { shards } = await countBacklogs(store, [shard(0, 1), ...[1, 2, 3].map((one) => shard(one, 981))], limits);
    expect(shards.get(0)).toMatchObject({ complete: false });
    expect(shards.get(1)).toMatchObject({ complete: true });
    expect(read.rows).toBeLessThan(200);
  });

  it('tells no wrong number as the whole one, whatever the floors', async () => {
    const table = fc.array(fc.record({ shard: fc.nat({ max: 3 }), pending: fc.boolean() }), { maxLength: 400 });
    const floors = fc.array(fc.integer({ min: 1, max: 450 }), { minLength: 4, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(table, floors, async (rows, lowest) => {
        // Below its floor a shard has nothing that is to be sent.
        const sound = rows.map((row, index) => ({
          ...row,
          pending: row.pending && index + 1 >= (lowest[row.shard] ?? 0),
        }));
        const { store, read } = storeOver(sound);
        const { shards } = await countBacklogs(
          store,
          lowest.map((floor, number) => shard(number, floor)),
          LIMITS,
        );
        for (const [number, { pending, complete }] of shards) {
          const all = sound.filter((row) => row.pending && row.shard === number).length;
          if (complete) expect(pending).toBe(all);
          else expect(pending).toBeLessThanOrEqual(all);
        }
        expect(read.rows).toBeLessThanOrEqual(LIMITS.rows);
        if (sound.length - Math.min(...lowest) < LIMITS.rows - 4 * LIMITS.step) {
          expect([...shards.values()].every(({ complete }) => complete)).toBe(true);
        }
      }),
    );
  });
});
