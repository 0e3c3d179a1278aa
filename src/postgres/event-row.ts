import type { StoredEvent } from '../events/ports.ts';
import type { CommandId, EventId, SessionId } from '../genesis/ids.ts';

/** A row of domain_events as the driver gives it, without what only the wire needs. */
interface EventRow {
  readonly event_id: EventId;
  readonly event_type: string;
  readonly event_version: number;
  readonly aggregate_id: SessionId;
  readonly aggregate_version: number;
  readonly correlation_id: CommandId;
  readonly causation_id: EventId | CommandId;
  readonly created_at: Date;
  readonly payload: unknown;
}

export interface MeasuredEventRow extends EventRow {
  /** Bytes of the payload. */
  readonly octets: number;
}

export function octetsOf(rows: readonly MeasuredEventRow[]): number {
  return rows.reduce((sum, { octets }) => sum + octets, 0);
}

export function toStoredEvent(row: EventRow): StoredEvent {
  return {
    eventId: row.event_id,
    eventType: row.event_type,
    eventVersion: row.event_version,
    sessionId: row.aggregate_id,
    aggregateVersion: row.aggregate_version,
    correlationId: row.correlation_id,
    causationId: row.causation_id,
    occurredAt: row.created_at.getTime(),
    payload: row.payload,
  };
}
