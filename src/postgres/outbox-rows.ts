import type { EventId, SessionId } from '../genesis/ids.ts';
import type { RecordHeaders } from '../outbox/outbox-row.ts';
import type { ClaimedRow } from '../relay/ports.ts';

/** A row of event_outbox as the statements of the claims give it. */
export interface OutboxRecord {
  readonly id: number;
  readonly event_id: EventId;
  readonly topic: string;
  readonly key: SessionId;
  readonly shard: number;
  readonly sequence: number;
  /** Null: DISCARDED. */
  readonly payload: string | null;
  readonly headers: RecordHeaders;
  readonly retry_count: number;
  readonly max_retries: number;
  /** Milliseconds since the epoch. */
  readonly created_at: number;
}

export function toClaimedRow(row: OutboxRecord, held: boolean): ClaimedRow {
  return {
    id: row.id,
    eventId: row.event_id,
    topic: row.topic,
    key: row.key,
    shard: row.shard,
    sequence: row.sequence,
    payload: row.payload,
    headers: row.payload === null ? { ...row.headers, discarded: 'true' } : row.headers,
    retryCount: row.retry_count,
    maxRetries: row.max_retries,
    createdAt: row.created_at,
    held,
  };
}
