import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { EventId, SessionId } from '../../src/genesis/ids.ts';
import { fitSends, partitionOf, recordBytes } from '../../src/relay/fit-sends.ts';
import type { ClaimedRow } from '../../src/relay/ports.ts';

function row(id: number, shard: number, bytes: number): ClaimedRow {
  return {
    id,
    eventId: `event-${id}` as EventId,
    topic: 'topic',
    key: `session-${shard}` as SessionId,
    shard,
    sequence: id,
    payload: 'x'.repeat(bytes),
    headers: { ce_id: String(id) },
    retryCount: 0,
    maxRetries: 3,
    createdAt: 0,
  };
}

const rows = fc
  .array(fc.record({ shard: fc.nat(3), bytes: fc.nat(2_000) }), { maxLength: 60 })
  .map((all) => all.map(({ shard, bytes }, index) => row(index + 1, shard, bytes)));

test('sends keep the order of the rows and leave none out', () => {
  fc.assert(
    fc.property(rows, (all) => {
      expect(fitSends(all, 3_000).flat()).toEqual(all);
    }),
  );
});

test('no partition of a send exceeds the limit, unless by a single row', () => {
  fc.assert(
    fc.property(rows, (all) => {
      for (const send of fitSends(all, 1_500)) {
        for (const partition of new Set(send.map(partitionOf))) {
          const batch = send.filter((one) => partitionOf(one) === partition);
          const bytes = batch.reduce((sum, one) => sum + recordBytes(one), 0);
          expect(batch.length === 1 || bytes <= 1_500).toBe(true);
        }
      }
    }),
  );
});

test('rows of several partitions share a send as long as each fits', () => {
  const all = [row(1, 0, 900), row(2, 1, 900), row(3, 0, 900)];
  expect(fitSends(all, 1_000).map((send) => send.map(({ id }) => id))).toEqual([[1, 2], [3]]);
});

test('the size counts bytes, not characters', () => {
  expect(recordBytes({ ...row(1, 0, 0), payload: '中中' })).toBe(recordBytes({ ...row(1, 0, 0), payload: 'xxxxxx' }));
});
