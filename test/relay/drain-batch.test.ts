import { expect, test } from 'vitest';
import type { EventId, SessionId } from '../../src/genesis/ids.ts';
import { drainBatch, type BatchContext } from '../../src/relay/drain-batch.ts';
import type { ClaimedRow, OutgoingRecord, RecordOutcome } from '../../src/relay/ports.ts';

const AWAY = 7;

function row(id: number, shard: number, payload = 'small'): ClaimedRow {
  return {
    id,
    eventId: `event-${id}` as EventId,
    topic: 'events',
    key: `session-${id}` as SessionId,
    shard,
    sequence: 1,
    payload,
    headers: {},
    retryCount: 0,
    maxRetries: 3,
    createdAt: 0,
  };
}

/** One partition cannot be written, the others refuse each batch with a poisonous record in it. */
function answer(records: readonly OutgoingRecord[]): readonly RecordOutcome[] {
  return records.map(({ shard }): RecordOutcome => {
    if (shard === AWAY) return { kind: 'unavailable', scope: 'partition', error: 'NOT_LEADER_OR_FOLLOWER' };
    const poisoned = records.some((other) => other.shard === shard && other.payload === 'poison');
    return poisoned
      ? { kind: 'refused', error: 'MESSAGE_TOO_LARGE' }
      : { kind: 'acknowledged', partition: shard, offset: '0' };
  });
}

test('beside a partition that cannot be written a refused batch is halved all the same, and the circuit stays open', async () => {
  const acknowledged: number[] = [];
  const refused: number[] = [];
  let answered = 0;
  const context: BatchContext = {
    publisher: { send: async (records) => answer(records), close: async () => {} },
    maxPartitionBytes: 1_000_000,
    signal: new AbortController().signal,
    onStalled: () => {},
    onAnswered: () => (answered += 1),
    onAcknowledged: async (published) => void acknowledged.push(...published.map(({ row: { id } }) => id)),
    onRefused: async ({ id }) => void refused.push(id),
  };
  const rows = [row(1, 0), row(2, AWAY), row(3, 0, 'poison'), row(4, 0), row(5, AWAY), row(6, 0)];
  expect(await drainBatch(rows, context)).toEqual({ scope: 'partition', error: 'NOT_LEADER_OR_FOLLOWER' });
  expect(acknowledged).toEqual([1, 4, 6]);
  expect(refused).toEqual([3]);
  expect(answered).toBe(0);
});
