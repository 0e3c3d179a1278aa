import { describe, expect, it } from 'vitest';
import { PoisonError, readEvent, readRequest } from '../../examples/concept-agent/read-record.ts';
import { aRecord, ENVELOPE, EVENT_ID, REQUEST_ID, SESSION_ID, TRACEPARENT } from './a-record.ts';

describe('reading a record', () => {
  it('finds the request in it, and its place in the stream of its session', () => {
    const event = readEvent(aRecord());
    expect(event).toMatchObject({ eventId: EVENT_ID, sequence: 2, previous: 'the-event-before' });
    expect(readRequest(event)).toEqual({
      eventId: EVENT_ID,
      sessionId: SESSION_ID,
      requestId: REQUEST_ID,
      themes: ['科幻', '悬疑'],
      styles: ['快节奏'],
      traceparent: TRACEPARENT,
    });
  });

  it.each(['Genesis.Session.Created', 'Genesis.Session.Proposed', 'Genesis.Session.SomethingNew'])(
    'passes over %s, whatever its version and payload',
    (event_type) => {
      const event = readEvent(aRecord({ ...ENVELOPE, event_type, event_version: 7, payload: { new: true } }));
      expect(readRequest(event)).toBeNull();
    },
  );

  it('knows a marker by its key and headers: the event was discarded, and its place is kept', () => {
    const marked = { discarded: 'true', ce_id: EVENT_ID, ce_type: 'Genesis.Session.Requested', sequence: '2' };
    const event = readEvent({ ...aRecord(ENVELOPE, marked), value: undefined });
    expect(event).toMatchObject({
      eventId: EVENT_ID,
      sessionId: SESSION_ID,
      sequence: 2,
      previous: 'the-event-before',
    });
    expect(readRequest(event)).toBeNull();
  });

  it.each(['ce_id', 'ce_type', 'sequence'])('refuses a marker without %s', (name) => {
    const marked = {
      discarded: 'true',
      ce_id: EVENT_ID,
      ce_type: 'Genesis.Session.Requested',
      sequence: '2',
      [name]: undefined,
    };
    expect(() => readEvent({ ...aRecord(ENVELOPE, marked), value: undefined })).toThrow(PoisonError);
  });

  it('takes members that it does not know', () => {
    const payload = { ...ENVELOPE.payload, mood: 'sombre' };
    expect(readRequest(readEvent(aRecord({ ...ENVELOPE, payload, more: 1 })))).not.toBeNull();
  });

  it.each([
    ['no value', undefined],
    ['no JSON', '{"event_id":'],
    ['an empty value', ''],
    ['JSON that is no object', '[1]'],
    ['null', 'null'],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0xff, 0x7d])],
    ['no event_id', { ...ENVELOPE, event_id: undefined }],
    ['no sequence', { ...ENVELOPE, aggregate_version: 0 }],
    ['a sequence that is text', { ...ENVELOPE, aggregate_version: '2' }],
    ['no payload', { ...ENVELOPE, payload: undefined }],
  ])('calls %s poison', (_what, value) => {
    expect(() => readEvent(value === undefined ? { ...aRecord(), value } : aRecord(value))).toThrow(PoisonError);
  });

  it.each([
    ['a request without id', { ...ENVELOPE, payload: { ...ENVELOPE.payload, request_id: 1 } }],
    ['preferences that are no list', { ...ENVELOPE, payload: { ...ENVELOPE.payload, theme_preferences: 'all' } }],
    ['preferences that are no texts', { ...ENVELOPE, payload: { ...ENVELOPE.payload, style_preferences: [1] } }],
    ['a version of the request that it does not know', { ...ENVELOPE, event_version: 2 }],
  ])('calls %s poison', (_what, value) => {
    expect(() => readRequest(readEvent(aRecord(value)))).toThrow(PoisonError);
  });
});
