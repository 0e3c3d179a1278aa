import type { EventId, SessionId } from '../genesis/ids.ts';
import type { RecordHeaders } from '../outbox/outbox-row.ts';

/** A PENDING row as the relay claims it. */
export interface ClaimedRow {
  /** Place in the outbox: ascends per session with `sequence`. */
  readonly id: number;
  readonly eventId: EventId;
  readonly topic: string;
  readonly key: SessionId;
  /** The partition the record goes to. */
  readonly shard: number;
  readonly sequence: number;
  readonly payload: string;
  readonly headers: RecordHeaders;
  /** How often the broker has refused it so far. */
  readonly retryCount: number;
  /** How many refusals are followed by another try. */
  readonly maxRetries: number;
  /** When the event was committed, by the database's clock, in milliseconds since the epoch. */
  readonly createdAt: number;
}

/** Where a row's record was acknowledged. */
export interface Sent {
  readonly id: number;
  readonly partition: number;
  /** Offset in the partition, as the broker said; a string because offsets are 64 bits wide. */
  readonly offset: string;
}

/** A row that the broker refused, alone in its partition's batch. */
export interface Refusal {
  readonly id: number;
  /** The broker's words. */
  readonly error: string;
}

/**
 * event_outbox as the relay sees it. Every call needs the lease: an implementation makes a call fail with `LeaseLost`
 * once it may no longer be assumed, so that a relay that was replaced claims and fails nothing.
 */
export interface OutboxStore {
  /**
   * Up to `limit` PENDING rows, lowest id first, that may be sent now, of other sessions than `except`. A row of a session is
   * left out while an earlier row of that session is FAILED or waits for its retry.
   */
  claim(limit: number, except?: readonly SessionId[]): Promise<readonly ClaimedRow[]>;
  /**
   * PENDING → SENT, all in one statement. A row that an operator has meanwhile discarded keeps its status. Gives the ids of rows
   * that stay PENDING because somebody else has them locked: to be marked later.
   */
  markSent(sent: readonly Sent[]): Promise<readonly number[]>;
  /**
   * Counts the try and hides the row (and so its session) for `delayMs`, by the database's clock. False if the row stays as it
   * is because somebody else has it locked.
   */
  scheduleRetry(refusal: Refusal, delayMs: number): Promise<boolean>;
  /** PENDING → FAILED. The session is held until somebody retries or discards the row. False as above. */
  markFailed(refusal: Refusal): Promise<boolean>;
  /**
   * Milliseconds until the next scheduled retry of another session than `except`, by the database's clock; 0 when one is due,
   * null when there is none.
   */
  nextRetryIn(except?: readonly SessionId[]): Promise<number | null>;
}

/** The right to drain the outbox of one database. In time one per shard; now one for all. */
export interface Lease {
  /**
   * Waits as standby until this process holds the lease, or `signal` aborts (then rejects with its reason). Rejects with the
   * driver's error when the database cannot be asked; to try again is the caller's part.
   */
  acquire(signal: AbortSignal): Promise<HeldLease>;
}

export interface HeldLease {
  readonly store: OutboxStore;
  /** Aborts once the lease is lost. */
  readonly lost: AbortSignal;
  /** Gives the lease back. Calls that are under way fail with `LeaseLost`. Never rejects. */
  release(): Promise<void>;
}

/** The lease is gone: another relay may already be at work. Nothing was claimed or changed. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';
}

/** What is sent for a claimed row. */
export type OutgoingRecord = Pick<ClaimedRow, 'topic' | 'key' | 'shard' | 'payload' | 'headers'>;

/** What an outage concerns; the rest can go on. */
export type OutageScope = 'cluster' | 'topic' | 'partition';

/**
 * What became of one record.
 * - `acknowledged`: written by all in-sync replicas.
 * - `refused`: the broker will never take this batch of its partition as it is (too large, invalid record or timestamp), or
 *   we could not encode it; certainly not written.
 * - `unavailable`: the broker, topic or partition cannot be written now, or what happened is unknown (it may have been
 *   written). Sending it again, in order, is right: a duplicate at worst, never a gap.
 */
export type RecordOutcome =
  | { readonly kind: 'acknowledged'; readonly partition: number; readonly offset: string }
  | { readonly kind: 'refused'; readonly error: string }
  | { readonly kind: 'unavailable'; readonly scope: OutageScope; readonly error: string };

/** The broker as the relay sees it: one awaited send at a time. */
export interface Publisher {
  /**
   * Sends the records in order and resolves with one outcome per record, in the same order. Never rejects for what a broker
   * or a network can do. While the broker is away it keeps trying; `onStalled` is called once when the send has taken longer
   * than the delivery deadline, and the send stays pending.
   */
  send(records: readonly OutgoingRecord[], onStalled?: (error: string) => void): Promise<readonly RecordOutcome[]>;
  /** Abandons a pending send (its outcomes become `unavailable`) and frees the connections. A later `send` opens new ones. */
  close(): Promise<void>;
}

/** Tells the relay that there may be work, earlier than the next poll. */
export interface Wakeup {
  /** Calls `listener` for each hint until the returned function is called. Hints may be lost or invented: polling is the net. */
  subscribe(listener: () => void): () => void;
}
