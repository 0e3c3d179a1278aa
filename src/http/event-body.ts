import type { StoredEvent } from '../events/ports.ts';
import { upcast } from '../genesis/upcast.ts';
import type { EventBody } from './schemas.ts';

/** An event in its current version, or as it was stored if it is newer than this program. */
export function eventBody(stored: StoredEvent): EventBody {
  const current = upcast(stored);
  return {
    event_id: stored.eventId,
    event_type: stored.eventType,
    event_version: current.known ? current.version : stored.eventVersion,
    stored_version: stored.eventVersion,
    aggregate_version: stored.aggregateVersion,
    correlation_id: stored.correlationId,
    causation_id: stored.causationId,
    occurred_at: new Date(stored.occurredAt).toISOString(),
    payload: current.known ? current.event.payload : stored.payload,
  };
}
