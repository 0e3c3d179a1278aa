import type { EventId, SessionId } from '../genesis/ids.ts';

export const OUTBOX_STATUSES = ['PENDING', 'SENT', 'FAILED', 'DISCARDED'] as const;
export type OutboxStatus = (typeof OUTBOX_STATUSES)[number];

/** Names and values of a record's headers, in the order they are sent. */
export type RecordHeaders = Readonly<Record<string, string>>;

/** What is written into event_outbox for one event. The database adds id, status and the columns of the relay. */
export interface NewOutboxRow {
  readonly eventId: EventId;
  readonly topic: string;
  /** The record key. */
  readonly key: SessionId;
  /** The Kafka partition, by Kafka's own default partitioner. */
  readonly shard: number;
  /** aggregate_version of the event: the order of one key's rows. */
  readonly sequence: number;
  /** The record value, exactly as it is sent, every time. */
  readonly payload: string;
  readonly headers: RecordHeaders;
}

/** The trace that a row belongs to, by the `traceparent` in its headers: 32 hex digits, or undefined when it has none. */
export function traceIdOf({ traceparent }: RecordHeaders): string | undefined {
  return traceparent?.split('-')[1];
}
