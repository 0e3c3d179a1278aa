import { expect, test } from 'vitest';
import { OutcomeRecorder, type Published } from '../../src/relay/record-outcomes.ts';
import type { OutboxStore } from '../../src/relay/ports.ts';
import { StatusBoard } from '../../src/relay/relay-status.ts';
import { silent } from '../support/commands.ts';
import { claimedRow } from './claimed-row.ts';

const { signal } = new AbortController();

function published(id: number): Published {
  return { row: claimedRow(id, 0), sent: { id, partition: 0, offset: String(id) } };
}

const idsOf = (some: readonly Published[]): number[] => some.map(({ row }) => row.id);

test('what is acknowledged while a mark is under way is not taken for marked: the next one marks it', async () => {
  const marks: number[][] = [];
  const tables: number[] = [];
  const answers = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const store = {
    markSent: async (sent) => {
      marks.push(sent.map(({ id }) => id));
      await answers[marks.length - 1]?.promise;
      return [];
    },
  } satisfies Pick<OutboxStore, 'markSent'> as unknown as OutboxStore;
  const recorder = new OutcomeRecorder({
    logger: silent,
    board: new StatusBoard(silent, 'at-least-once'),
    backoff: { first: 1, most: 1 },
    onFailed: 'hold',
    onPublished: ({ row }) => tables.push(row.id),
  });
  recorder.acknowledged([published(1)]);
  const first = recorder.mark(store, signal);
  await expect.poll(() => marks).toEqual([[1]]);
  // By a probe of another partition, or found there.
  recorder.acknowledged([published(2)]);
  answers[0]?.resolve();
  expect(idsOf(await first)).toEqual([1]);
  expect(tables).toEqual([1]);
  expect(idsOf(recorder.unmarked)).toEqual([2]);
  answers[1]?.resolve();
  expect(idsOf(await recorder.mark(store, signal))).toEqual([2]);
  expect(marks).toEqual([[1], [2]]);
  expect(recorder.unmarked).toEqual([]);
});
