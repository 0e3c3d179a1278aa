import { expect, test } from 'vitest';
import { middleOf, shareOf } from '../../benchmarks/api/open-loop-report.ts';
import type { Offered, Round } from '../../benchmarks/api/open-loop.ts';

/** So many accepted in each of two seconds under load; more are answered once nothing is offered any more. */
function roundOf(before: number, after: number, accepted: number): Round {
  const second = { accepted, refused: 0, other: 0 };
  const figures = { seconds: [second, second, second], answers: {}, late: 0 } as unknown as Offered['figures'];
  const twice: Offered = {
    rate: before * 2,
    seconds: 2,
    connections: 8,
    requestTimeout: 5_000,
    figures,
    cpu: { api: 1, postgres: 1 },
    observations: [],
  };
  return { before, twice, after };
}

test('what is accepted under load is compared with the closed loops before and after it', () => {
  expect(shareOf(roundOf(1_200, 800, 900))).toBeCloseTo(0.9);
});

test('what is answered after the load does not count', () => {
  expect(shareOf(roundOf(100, 100, 50))).toBeCloseTo(0.5);
});

test('the round in the middle is the one that is drawn', () => {
  const rounds = [roundOf(100, 100, 70), roundOf(100, 100, 95), roundOf(100, 100, 80)];
  expect(shareOf(middleOf(rounds))).toBeCloseTo(0.8);
  expect(() => middleOf([])).toThrow('no rounds');
});
