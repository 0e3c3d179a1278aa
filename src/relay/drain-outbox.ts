import { backoffDelay, type BackoffBounds } from '../backoff.ts';
import { assertOrder } from './assert-order.ts';
import { drainBatch, type BatchContext } from './drain-batch.ts';
import { pause } from './pause.ts';
import { LeaseLost, type ClaimedRow, type HeldLease, type Publisher } from './ports.ts';
import type { OutcomeRecorder } from './record-outcomes.ts';
import type { StatusBoard } from './relay-status.ts';
import type { WorkSignal } from './wait-for-work.ts';

/** Between looks whether rows that somebody else has locked are free, while nothing else is to do. */
const LOCKED_LOOK_MS = 1_000;

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
  await recorder.takeOver(lease.store, signal);
  let limit = options.batchSize;
  let outages = 0;
  while (!signal.aborted) {
    work.begin();
    await recorder.settle(lease.store, signal);
    const rows = recorder.full ? [] : await lease.store.claim(limit, recorder.held);
    if (rows.length === 0) {
      limit = options.batchSize;
      board.enter('idle');
      await work.wait(await timeToNextLook(lease, options), signal);
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

async function timeToNextLook(lease: HeldLease, { pollInterval, recorder }: DrainOptions): Promise<number> {
  const { held } = recorder;
  const retry = await lease.store.nextRetryIn(held);
  const nextLook = held.length === 0 ? pollInterval : Math.min(pollInterval, LOCKED_LOOK_MS);
  return retry === null ? nextLook : Math.min(nextLook, retry);
}
