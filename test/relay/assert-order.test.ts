import { expect, test } from 'vitest';
import { assertOrder } from '../../src/relay/assert-order.ts';
import type { ClaimedRow } from '../../src/relay/ports.ts';
import { claimedRow } from './claimed-row.ts';

const KEY = claimedRow(0, 0).key;
const of = (id: number, sequence: number, held = false): ClaimedRow => {
  return { ...claimedRow(id, 0), key: KEY, sequence, held };
};
const check = (claimed: readonly ClaimedRow[], known: readonly ClaimedRow[] = []) => {
  return () => assertOrder(claimed, known);
};

test('rows in the order of their ids and versions may be sent, those of sessions on hold in the order of their versions', () => {
  expect(check([claimedRow(1, 0), of(2, 1), claimedRow(3, 0), of(4, 2)])).not.toThrow();
  expect(check([claimedRow(7, 0), of(5, 1, true), of(6, 2, true)])).not.toThrow();
});

test('rows whose ids or versions do not ascend are a defect', () => {
  expect(check([claimedRow(2, 0), claimedRow(1, 0)])).toThrow('claimed row 1 after 2');
  expect(check([of(1, 2), of(2, 1)])).toThrow('version 1 of session session-0 after version 2');
  expect(check([of(1, 2), of(2, 2)])).toThrow('version 2 of session session-0 after version 2');
});

test('a session that is on hold and is not is a defect', () => {
  expect(check([of(1, 1), of(2, 2, true)])).toThrow('session session-0 is on hold and is not');
});

test('rows go on behind those of their session that were claimed before, however these came', () => {
  expect(check([of(3, 3)], [of(2, 2, true), of(1, 1, true)])).not.toThrow();
  expect(check([of(3, 3, true)], [of(1, 1), of(2, 2)])).not.toThrow();
});

test('a row from before the last one that was claimed before of its session, or that one again, is a defect', () => {
  for (const known of [
    [of(1, 1), of(3, 3)],
    [of(3, 3), of(1, 1)],
  ]) {
    expect(check([of(2, 2)], known)).toThrow('row 2: version 2 of session session-0 after version 3');
    expect(check([of(3, 3)], known)).toThrow('row 3: version 3 of session session-0 after version 3');
  }
});
