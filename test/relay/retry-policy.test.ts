import { expect, test } from 'vitest';
import { backoffDelay } from '../../src/backoff.ts';
import { afterRefusal } from '../../src/relay/retry-policy.ts';

test('three retries come after 1, 2 and 4 seconds, and the refusal after them is the last', () => {
  const answers = [0, 1, 2, 3].map((retryCount) => afterRefusal({ retryCount, maxRetries: 3 }, 'hold'));
  expect(answers).toEqual([
    { kind: 'retry', delayMs: 1_000 },
    { kind: 'retry', delayMs: 2_000 },
    { kind: 'retry', delayMs: 4_000 },
    { kind: 'fail' },
  ]);
});

test('a row without retries fails at its first refusal', () => {
  expect(afterRefusal({ retryCount: 0, maxRetries: 0 }, 'hold')).toEqual({ kind: 'fail' });
  expect(afterRefusal({ retryCount: 0, maxRetries: 0 }, 'discard')).toEqual({ kind: 'discard' });
});

test('many retries do not wait longer than an hour', () => {
  expect(afterRefusal({ retryCount: 40, maxRetries: 50 }, 'hold')).toEqual({ kind: 'retry', delayMs: 3_600_000 });
});

test('the delay of a probe doubles up to its bound, between half of it and all of it', () => {
  const bounds = { first: 100, most: 1_000 };
  expect([1, 2, 3, 4, 5, 500].map((attempt) => backoffDelay(attempt, bounds, () => 1))).toEqual([
    100, 200, 400, 800, 1_000, 1_000,
  ]);
  expect(backoffDelay(3, bounds, () => 0)).toBe(200);
});
