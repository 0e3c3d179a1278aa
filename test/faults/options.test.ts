import { expect, test } from 'vitest';
import { MUTATIONS } from '../../faults/mutations.ts';
import { readOptions } from '../../faults/options.ts';
import { SCENARIOS } from '../../faults/scenarios/index.ts';

test('a campaign runs what is named, or all', () => {
  const { action, scenarios, deliveries, seed, runs } = readOptions(['mixed', '--seed', '7', '--delivery', 'both']);
  expect([action, scenarios.map(({ name }) => name), seed, runs]).toEqual(['campaign', ['mixed'], 7, 1]);
  expect(deliveries).toEqual(['at-least-once', 'exactly-once']);
  expect(readOptions(['all']).scenarios).toEqual(SCENARIOS);
  expect(readOptions(['--mutations']).mutations).toEqual(MUTATIONS);
});

test.each([
  [[], 'which scenarios?'],
  [['relay-kiled'], 'there is no scenario relay-kiled'],
  // Nothing to find would be found by every check.
  [['--mutations', 'mark-before-sent'], 'there is no mutation mark-before-sent'],
  [['mixed', '--delivery', 'once'], "--delivery 'once'"],
  [['mixed', '--seed', 'x'], "--seed 'x'"],
  [['mixed', '--runs', '0'], "--runs '0'"],
  [['mixed', '--runs', '1.5'], "--runs '1.5'"],
  [['mixed', '--scale=-1'], "--scale '-1'"],
  [['mixed', '--ful'], "'--ful'"],
])('%j is refused by what is wrong in it', (args, message) => {
  expect(() => readOptions(args)).toThrow(message);
});
