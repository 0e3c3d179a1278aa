import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';
import type { SessionId } from '../../src/genesis/ids.ts';
import type { RecordEntry } from '../../src/operations/record-entry.ts';
import { RecordSorter } from '../../src/operations/record-sorter.ts';

const folder = mkdtempSync(join(tmpdir(), 'sorter-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

const sessions = fc.array(fc.uuid(), { minLength: 1, maxLength: 3 });
const entryOf = (ids: readonly string[]): fc.Arbitrary<RecordEntry> =>
  fc.record({
    sessionId: fc.constantFrom(...ids).map((id) => id as SessionId),
    sequence: fc.integer({ min: 1, max: 2 ** 31 - 1 }).map((n) => (n % 3 === 0 ? n : n % 7)),
    partition: fc.integer({ min: 0, max: 3 }),
    offset: fc.bigInt({ min: 0n, max: 2n ** 62n }).map((n) => (n % 2n === 0n ? n : n % 10n)),
    eventId: fc.uuid(),
    digest: fc.option(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
    previous: fc.option(fc.uuid()),
    marker: fc.boolean(),
  });

function order(a: RecordEntry, b: RecordEntry): number {
  if (a.sessionId !== b.sessionId) return a.sessionId < b.sessionId ? -1 : 1;
  if (a.sequence !== b.sequence) return a.sequence - b.sequence;
  if (a.partition !== b.partition) return a.partition - b.partition;
  return Number(a.offset - b.offset);
}

it('gives every record back as it was, in the order of session, sequence, partition and offset, and leaves nothing behind', async () => {
  const entries = sessions.chain((ids) => fc.array(entryOf(ids), { maxLength: 60 }));
  await fc.assert(
    fc.asyncProperty(entries, fc.integer({ min: 1, max: 20 }), async (all, runLength) => {
      const sorter = new RecordSorter({ runLength, folder });
      for (const entry of all) await sorter.add(entry);
      const sorted = [...sorter.sorted()];
      await sorter.close();
      expect(sorted.map((entry) => [entry.sessionId, entry.sequence, entry.partition, entry.offset])).toEqual(
        all.toSorted(order).map((entry) => [entry.sessionId, entry.sequence, entry.partition, entry.offset]),
      );
      expect(new Set(sorted.map(asText))).toEqual(new Set(all.map(asText)));
      expect(readdirSync(folder)).toEqual([]);
    }),
    { numRuns: 200 },
  );
});

function asText(entry: RecordEntry): string {
  const members = Object.entries(entry).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(members, (_name, value: unknown) => (typeof value === 'bigint' ? `${value}` : value));
}
