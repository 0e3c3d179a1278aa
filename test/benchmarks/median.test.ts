import { expect, test } from 'vitest';
import { mean, median } from '../../benchmarks/median.ts';

test.each([
  [[], 0],
  [[3], 3],
  [[9, 1, 5], 5],
  // The lower one of the two, as a reference, would flatter what is compared with it.
  [[2446, 1415, 2142, 1743, 2121, 1914], 2017.5],
])('the median of %j is %d', (values, middle) => {
  expect(median(values)).toBe(middle);
});

test('the mean of some, and of none', () => {
  expect(mean([1, 2, 6])).toBe(3);
  expect(mean([])).toBe(0);
});
