import assert from 'node:assert/strict';
import type { SessionId } from '../genesis/ids.ts';
import { fitSends, partitionOf } from './fit-sends.ts';
import type { ClaimedRow, OutageScope, Publisher, RecordOutcome, Sent } from './ports.ts';

/** Why a batch was given up. */
export interface Outage {
  readonly scope: OutageScope;
  readonly error: string;
}

/** A row and where the broker put it. */
export interface Published {
  readonly row: ClaimedRow;
  readonly sent: Sent;
}

/** What a batch needs of the relay. */
export interface BatchContext {
  readonly publisher: Publisher;
  /** Most bytes of one partition in one send. */
  readonly maxPartitionBytes: number;
  /** Once aborted, nothing more is sent; what was acknowledged is still recorded. */
  readonly signal: AbortSignal;
  readonly onStalled: (error: string) => void;
  /** The broker judged every record of a send: no outage is left. */
  readonly onAnswered: () => void;
  /** Records acknowledgements; resolves once they are marked. */
  readonly onAcknowledged: (published: readonly Published[]) => Promise<void>;
  /** Charges a try to a row that was refused alone; resolves once that is stored. */
  readonly onRefused: (row: ClaimedRow, error: string) => Promise<void>;
}

/**
 * Sends claimed rows in order until they are settled. Rows behind a refused row of their session are left out: they are
 * claimed again when it is their turn. Resolves with the outage that ended the batch early, or null.
 */
export async function drainBatch(rows: readonly ClaimedRow[], context: BatchContext): Promise<Outage | null> {
  return sendInOrder(rows, context, new Set());
}

async function sendInOrder(
  rows: readonly ClaimedRow[],
  context: BatchContext,
  held: Set<SessionId>,
): Promise<Outage | null> {
  for (const send of fitSends(rows, context.maxPartitionBytes)) {
    const free = send.filter((row) => !held.has(row.key));
    if (free.length === 0) continue;
    if (context.signal.aborted) return null;
    const outage = await sendOnce(free, context, held);
    if (outage !== null) return outage;
  }
  return null;
}

async function sendOnce(
  rows: readonly ClaimedRow[],
  context: BatchContext,
  held: Set<SessionId>,
): Promise<Outage | null> {
  const outcomes = await context.publisher.send(rows, context.onStalled);
  assert.equal(outcomes.length, rows.length, 'one outcome per record');
  const { published, refused, outage } = sortOutcomes(rows, outcomes);
  if (published.length > 0) await context.onAcknowledged(published);
  if (outage === null) context.onAnswered();
  // Beside an outage of one partition the batches of others are settled too, else they would wait for it. That they are
  // answered does not say that it is over.
  const apart = outage === null ? context : { ...context, onAnswered: () => {} };
  for (const batch of refused) {
    const next = await settleRefused(batch, apart, held);
    if (next !== null) return outage ?? next;
  }
  return outage;
}

/** The rows of one partition that the broker refused as one batch. */
interface RefusedBatch {
  readonly rows: ClaimedRow[];
  readonly error: string;
}

/** Halves the batch, in order, until the refused row is alone; only then it is known to be the one. */
async function settleRefused(batch: RefusedBatch, context: BatchContext, held: Set<SessionId>): Promise<Outage | null> {
  const [first] = batch.rows;
  if (first !== undefined && batch.rows.length === 1) {
    await context.onRefused(first, batch.error);
    held.add(first.key);
    return null;
  }
  const middle = Math.ceil(batch.rows.length / 2);
  const outage = await sendInOrder(batch.rows.slice(0, middle), context, held);
  return outage ?? sendInOrder(batch.rows.slice(middle), context, held);
}

interface SortedOutcomes {
  readonly published: readonly Published[];
  readonly refused: Iterable<RefusedBatch>;
  readonly outage: Outage | null;
}

function sortOutcomes(rows: readonly ClaimedRow[], outcomes: readonly RecordOutcome[]): SortedOutcomes {
  const published: Published[] = [];
  const refused = new Map<string, RefusedBatch>();
  let outage: Outage | null = null;
  for (const [index, row] of rows.entries()) {
    const outcome = outcomes[index];
    assert(outcome !== undefined);
    if (outcome.kind === 'acknowledged') {
      published.push({ row, sent: { id: row.id, partition: outcome.partition, offset: outcome.offset } });
    } else if (outcome.kind === 'unavailable') {
      outage ??= { scope: outcome.scope, error: outcome.error };
    } else {
      const batch = refused.get(partitionOf(row));
      if (batch === undefined) refused.set(partitionOf(row), { rows: [row], error: outcome.error });
      else batch.rows.push(row);
    }
  }
  return { published, refused: refused.values(), outage };
}
