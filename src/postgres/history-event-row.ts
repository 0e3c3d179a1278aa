import type { HistoryEvent } from '../events/ports.ts';
import type { CommandId, EventId, SessionId } from '../genesis/ids.ts';

/** A row of domain_events with its JSON as text and its time in milliseconds. */
export interface HistoryEventRow {
  readonly event_id: EventId;
  readonly aggregate_id: SessionId;
  readonly aggregate_version: number;
  readonly event_type: string;
  readonly event_version: number;
  readonly payload: string;
  readonly metadata: string;
  readonly correlation_id: CommandId;
  readonly causation_id: EventId | CommandId;
  readonly occurred_at: number;
}

export function toHistoryEvent(row: HistoryEventRow): HistoryEvent {
  return {
    eventId: row.event_id,
    aggregateId: row.aggregate_id,
    aggregateVersion: row.aggregate_version,
    eventType: row.event_type,
    eventVersion: row.event_version,
    payload: row.payload,
    metadata: row.metadata,
    correlationId: row.correlation_id,
    causationId: row.causation_id,
    occurredAt: row.occurred_at,
  };
}
