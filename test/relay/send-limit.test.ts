import { expect, test } from 'vitest';
import { SendLimit } from '../../src/relay/send-limit.ts';

test('the limit is asked for only when a batch was refused, and then followed', async () => {
  const asked: number[] = [];
  const limit = new SendLimit({
    maxPartitionBytes: 1_000,
    askMaxPartitionBytes: async () => {
      asked.push(400);
      return 400;
    },
  });
  expect(await limit.bytes()).toBe(1_000);
  limit.doubt();
  expect(await limit.bytes()).toBe(400);
  expect(await limit.bytes()).toBe(400);
  // Another refusal right after does not ask again at once.
  limit.doubt();
  expect(await limit.bytes()).toBe(400);
  expect(asked).toEqual([400]);
});

test('a broker that does not tell leaves the limit as it was', async () => {
  const limit = new SendLimit({
    maxPartitionBytes: 1_000,
    askMaxPartitionBytes: () => Promise.reject(new Error('away')),
  });
  limit.doubt();
  expect(await limit.bytes()).toBe(1_000);
});

test('whoever cannot ask keeps to what he was told', async () => {
  const limit = new SendLimit({ maxPartitionBytes: 1_000 });
  limit.doubt();
  expect(await limit.bytes()).toBe(1_000);
});
