import { AGGREGATE_TYPE, type EventRecord } from '../genesis/events.ts';
import type { RecordHeaders } from './outbox-row.ts';

/** `ce_source` of every record. */
const SOURCE = '/genesis/sessions';

/** RFC 3339 in UTC with milliseconds: what an event's times look like everywhere outside the database. */
export function timestamp(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

/**
 * The value of an event's record: a pure function of the stored event, so it is the same bytes whenever it is made.
 * Payload and metadata go in as they were encoded: they are never parsed and written again.
 */
export function encodeEnvelope(event: EventRecord): string {
  const head = JSON.stringify({
    event_id: event.eventId,
    event_type: event.eventType,
    event_version: event.eventVersion,
    aggregate_type: AGGREGATE_TYPE,
    aggregate_id: event.aggregateId,
    aggregate_version: event.aggregateVersion,
    correlation_id: event.correlationId,
    causation_id: event.causationId,
    occurred_at: timestamp(event.occurredAt),
  });
  return `${head.slice(0, -1)},"payload":${event.payload},"metadata":${event.metadata}}`;
}

/**
 * The headers of an event's record: CloudEvents 1.0 in Kafka's binary mode, the trace context of the command, and the event's
 * place in its stream (`sequence`, and `previous` from the second event on) by which a consumer proves it complete.
 *
 * @see https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
 */
export function recordHeaders(event: EventRecord, traceparent: string | null): RecordHeaders {
  return {
    ce_specversion: '1.0',
    ce_id: event.eventId,
    ce_source: SOURCE,
    ce_type: event.eventType,
    ce_time: timestamp(event.occurredAt),
    ce_subject: event.aggregateId,
    'content-type': 'application/json',
    ...(traceparent === null ? {} : { traceparent }),
    sequence: String(event.aggregateVersion),
    ...(event.previous === null ? {} : { previous: event.previous }),
  };
}
