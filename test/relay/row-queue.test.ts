import { expect, test } from 'vitest';
import type { ClaimedRow } from '../../src/relay/ports.ts';
import { largestOf, RowQueue, type SendBounds } from '../../src/relay/row-queue.ts';
import { claimedRow as row } from './claimed-row.ts';

const WIDE: SendBounds = { partitionBytes: 1_000_000, rowsOf: () => Infinity, alone: () => false, apart: false };

function sends(rows: readonly ClaimedRow[], bounds: Partial<SendBounds> = {}): number[][] {
  const queue = new RowQueue();
  queue.add(rows);
  const all: number[][] = [];
  while (queue.rows.length > 0) all.push(queue.take({ ...WIDE, ...bounds }).map(({ id }) => id));
  return all;
}

test('what fits goes together, in order', () => {
  expect(sends([row(1, 0), row(2, 1), row(3, 0)])).toEqual([[1, 2, 3]]);
});

test('once a row of a partition has not fitted, those behind it wait; other partitions do not', () => {
  const large = 'x'.repeat(600);
  expect(
    sends([row(1, 0, large), row(2, 0, large), row(3, 1), row(4, 0), row(5, 1)], { partitionBytes: 1_000 }),
  ).toEqual([
    [1, 3, 5],
    [2, 4],
  ]);
});

test('a row that is larger than a send goes by itself, for the broker to judge', () => {
  expect(sends([row(1, 0), row(2, 0, 'x'.repeat(5_000)), row(3, 0)], { partitionBytes: 1_000 })).toEqual([
    [1],
    [2],
    [3],
  ]);
});

test('while a refused row is looked for, a shard sends few', () => {
  expect(
    sends([row(1, 0), row(2, 0), row(3, 0), row(4, 1)], { rowsOf: (shard) => (shard === 0 ? 2 : Infinity) }),
  ).toEqual([[1, 2, 4], [3]]);
});

test('a row that was refused is alone in its partition', () => {
  const alone = ({ retryCount }: ClaimedRow) => retryCount > 0;
  expect(sends([row(1, 0), row(2, 0, 'x', 1), row(3, 0), row(4, 1)], { alone })).toEqual([[1, 4], [2], [3]]);
});

test('where a refusal concerns all that is sent with it, a row that may be refused goes by itself, after the others', () => {
  const alone = ({ retryCount }: ClaimedRow) => retryCount > 0;
  const rows = [row(1, 0, 'x', 1), row(2, 0), row(3, 1), row(4, 2, 'x', 2), row(5, 1, 'x'.repeat(5_000)), row(6, 1)];
  expect(sends(rows, { alone, apart: true, partitionBytes: 1_000 })).toEqual([[3], [1], [2], [4], [5], [6]]);
});

test('the largest row is the likeliest to be too large', () => {
  expect(largestOf([row(1, 0, 'xx'), row(2, 0, 'x'.repeat(9)), row(3, 0, 'xxx')])?.id).toBe(2);
  expect(largestOf([])).toBeUndefined();
});

test('rows of shards that are gone are forgotten', () => {
  const queue = new RowQueue();
  queue.add([row(1, 0), row(2, 1)]);
  queue.drop((shard) => shard === 0);
  expect(queue.rows.map(({ id }) => id)).toEqual([2]);
});

test('what is claimed later goes before rows of sessions on hold, but not before those of its own session', () => {
  const queue = new RowQueue();
  const [first, second] = [row(1, 0), row(2, 0)].map((one) => ({ ...one, held: true }));
  if (first === undefined || second === undefined) throw new Error('there are two');
  expect(queue.onlyHeld).toBe(false);
  queue.add([first, second]);
  expect(queue.onlyHeld).toBe(true);
  queue.add([row(3, 0), { ...row(4, 0), key: first.key, sequence: 2 }]);
  expect(queue.rows.map(({ id }) => id)).toEqual([3, 1, 2, 4]);
  expect(queue.onlyHeld).toBe(false);
});
