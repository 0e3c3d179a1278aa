import { isEventName } from '../genesis/event-names.ts';
import type { EventRecord } from '../genesis/events.ts';
import { encodeEnvelope, recordHeaders } from './envelope.ts';
import type { NewOutboxRow } from './outbox-row.ts';
import { shardOf } from './shard.ts';

/** Where events are published: the topic and its number of partitions. */
export interface Destination {
  readonly topic: string;
  readonly shards: number;
}

/**
 * Most bytes of a record's value. The schemas of the commands keep events far below; this holds the promise that no event is
 * stored that the topic (max.message.bytes 1 MiB) would refuse.
 */
export const MAX_VALUE_BYTES = 917_504;

/**
 * The outbox row that publishes an event.
 *
 * @throws Error if the event breaks a rule of the wire: a defect of the code that made it, found before anything is written.
 */
export function buildOutboxRow(event: EventRecord, traceparent: string | null, destination: Destination): NewOutboxRow {
  if (!isEventName(event.eventType)) throw new Error(`'${event.eventType}' is not an event name by the verb table`);
  if ((event.previous === null) !== (event.aggregateVersion === 1)) {
    throw new Error(
      `event ${event.eventId}: version ${event.aggregateVersion} and previous ${event.previous} disagree`,
    );
  }
  const payload = encodeEnvelope(event);
  const bytes = Buffer.byteLength(payload);
  if (bytes > MAX_VALUE_BYTES)
    throw new Error(`event ${event.eventId} has ${bytes} bytes; at most ${MAX_VALUE_BYTES} fit`);
  return {
    eventId: event.eventId,
    topic: destination.topic,
    key: event.aggregateId,
    shard: shardOf(event.aggregateId, destination.shards),
    sequence: event.aggregateVersion,
    payload,
    headers: recordHeaders(event, traceparent),
  };
}
