import { describe, expect, it } from 'vitest';
import type { EventType } from '../../src/genesis/events.ts';
import { buildOutboxRow, MAX_VALUE_BYTES } from '../../src/outbox/build-outbox-row.ts';
import { encodeEnvelope, recordHeaders } from '../../src/outbox/envelope.ts';
import { aFirstEvent, anEvent } from './an-event.ts';

const destination = { topic: 'domain-events', shards: 8 };

/** An event whose value has exactly this many bytes. */
function anEventOf(bytes: number) {
  const rest = bytes - Buffer.byteLength(encodeEnvelope(anEvent({ payload: '"字"' })));
  return anEvent({ payload: `"字${'x'.repeat(rest)}"` });
}

describe('the outbox row of an event', () => {
  it('goes to the partition of its session, with value and headers as they will be sent', () => {
    const event = anEvent();
    expect(buildOutboxRow(event, null, destination)).toStrictEqual({
      eventId: event.eventId,
      topic: 'domain-events',
      key: event.aggregateId,
      shard: 4,
      sequence: 2,
      payload: encodeEnvelope(event),
      headers: recordHeaders(event, null),
    });
  });

  it('carries the trace of its command', () => {
    expect(buildOutboxRow(anEvent(), 'trace', destination).headers).toHaveProperty('traceparent', 'trace');
  });

  it('may be as large as the bound, counted in bytes', () => {
    const { payload } = buildOutboxRow(anEventOf(MAX_VALUE_BYTES), null, destination);
    expect(Buffer.byteLength(payload)).toBe(MAX_VALUE_BYTES);
  });
});

describe('no outbox row is built', () => {
  it('for an event one byte over the bound', () => {
    const event = anEventOf(MAX_VALUE_BYTES + 1);
    expect(() => buildOutboxRow(event, null, destination)).toThrow(
      `event ${event.eventId} has ${MAX_VALUE_BYTES + 1} bytes; at most ${MAX_VALUE_BYTES} fit`,
    );
  });

  it('for a name outside the verb table', () => {
    const event = anEvent({ eventType: 'Genesis.Session.Deleted' as EventType });
    expect(() => buildOutboxRow(event, null, destination)).toThrow(
      "'Genesis.Session.Deleted' is not an event name by the verb table",
    );
  });

  it('for a first event that names one before it', () => {
    const event = aFirstEvent({ previous: anEvent().eventId });
    expect(() => buildOutboxRow(event, null, destination)).toThrow('disagree');
  });

  it('for a later event without one before it', () => {
    const event = anEvent({ previous: null });
    expect(() => buildOutboxRow(event, null, destination)).toThrow(
      `event ${event.eventId}: version 2 and previous null disagree`,
    );
  });

  it('for no shards', () => {
    expect(() => buildOutboxRow(anEvent(), null, { ...destination, shards: 0 })).toThrow(RangeError);
  });
});
