import { expect, test } from 'vitest';
import { FindingList } from '../../src/cli/stream-report.ts';
import type { StreamFinding } from '../../src/operations/stream-findings.ts';

const FINDING: StreamFinding = {
  code: 'FOREIGN',
  partition: 1,
  offset: 7n,
  sessionId: null,
  sequence: null,
  eventId: null,
  detail: 'its key and headers name no event',
};

test('the verdict counts differences as one speaks', () => {
  const list = new FindingList(10);
  const verdict = () => list.table('').split('\n').at(-1);
  expect(verdict()).toBe('topic and database agree');
  list.add(FINDING);
  expect(verdict()).toBe('1 difference');
  for (let n = 1; n < 1_200; n += 1) list.add(FINDING);
  expect(verdict()).toBe('1,200 differences');
});
