import { backoffDelay, type BackoffBounds } from '../backoff.ts';
import { assertOrder } from './assert-order.ts';
import { drainBatch, type BatchContext } from './drain-batch.ts';
import { pause } from './pause.ts';
import { LeaseLost, type ClaimedRow, type HeldLease, type Publisher } from './ports.ts';
import type { OutcomeRecorder } from './record-outcomes.ts';
import type { StatusBoard } from './relay-status.ts';
import type { WorkSignal } from './wait-for-work.ts';

export interface DrainOptions {
  readonly publisher: Publisher;
  readonly recorder: OutcomeRecorder;
  readonly board: StatusBoard;
  readonly work: WorkSignal;
  readonly batchSize: number;
  readonly batchMax: number;
  readonly maxPartitionBytes: number;
  /** Milliseconds between looks at the outbox when no hint came. */
  readonly pollInterval: number;
  /** Between probes of a broker that is away. */
  readonly backoff: BackoffBounds;
}

/**
 * Claims, sends and marks under one lease until `stopping` aborts.
 * @throws LeaseLost, or the database's error when a claim fails.
 */
export async function drainOutbox(lease: HeldLease, options: DrainOptions, stopping: AbortSignal): Promise<void> {
  const { board, recorder, work } = options;
  const signal = AbortSignal.any([stopping, lease.lost]);
  const context = batchContext(lease, options, signal);
  await recorder.markPending(lease.store, signal);
  let limit = options.batchSize;
  let outages = 0;
  while (!signal.aborted) {
    work.begin();
    const rows = await lease.store.claim(limit);
    if (rows.length === 0) {
      limit = options.batchSize;
      board.enter('idle');
      await work.wait(await timeToNextLook(lease, options.pollInterval), signal);
      continue;
    }
    board.draining();
    assertOrder(rows);
    limit = nextLimit(rows, limit, options);
    const outage = await drainBatch(rows, context);
    // A send that was abandoned because of stop or a lost lease is no outage.
    if (outage === null || signal.aborted) {
      outages = 0;
      continue;
    }
    outages += 1;
    board.stalled(outage.error);
    await pause(backoffDelay(outages, options.backoff), signal);
  }
  if (lease.lost.aborted) throw new LeaseLost('the lease was lost', { cause: lease.lost.reason });
}

function batchContext(lease: HeldLease, options: DrainOptions, signal: AbortSignal): BatchContext {
  const { board, recorder } = options;
  return {
    publisher: options.publisher,
    maxPartitionBytes: options.maxPartitionBytes,
    signal,
    onStalled: (error) => board.stalled(error),
    onAnswered: () => board.answered(),
    onAcknowledged: async (published) => recorder.acknowledged(published, lease.store, signal),
    onRefused: async (row, error) => recorder.refused(row, error, lease.store, signal),
  };
}

/** A full claim says that there is a backlog: the next one is twice as large. */
function nextLimit(rows: readonly ClaimedRow[], limit: number, options: DrainOptions): number {
  return rows.length < limit ? options.batchSize : Math.min(limit * 2, Math.max(options.batchMax, options.batchSize));
}

async function timeToNextLook(lease: HeldLease, pollInterval: number): Promise<number> {
  const retry = await lease.store.nextRetryIn();
  return retry === null ? pollInterval : Math.min(pollInterval, retry);
}
