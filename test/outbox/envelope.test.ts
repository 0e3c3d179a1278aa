import { describe, expect, it } from 'vitest';
import { encodeEnvelope, recordHeaders, timestamp } from '../../src/outbox/envelope.ts';
import { aFirstEvent, anEvent } from './an-event.ts';

const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

describe('the value of a record', () => {
  it('has these members in this order', () => {
    expect(encodeEnvelope(anEvent())).toBe(
      '{"event_id":"01900000-0000-7000-8000-00000000e002","event_type":"Genesis.Session.Proposed","event_version":1,' +
        '"aggregate_type":"GENESIS_SESSION","aggregate_id":"018f3a5c-7b1e-7c3d-9f21-3a4b5c6d7e8f","aggregate_version":2,' +
        '"correlation_id":"01900000-0000-7000-8000-00000000c001","causation_id":"01900000-0000-7000-8000-00000000e001",' +
        '"occurred_at":"2026-11-23T05:32:01.007Z","payload":{"a":1},' +
        '"metadata":{"user_id":"u","source_service":"genesis-api"}}',
    );
  });

  it('is the same bytes whenever it is made', () => {
    expect(encodeEnvelope(anEvent())).toBe(encodeEnvelope(structuredClone(anEvent())));
  });

  it.each([
    ['members in an order of their own', '{"b":1,"a":2,"10":3,"9":4}'],
    ['escapes that need not be', String.raw`{"a":"\u0041\/\ud83d\ude00"}`],
    ['numbers that JavaScript cannot hold', '{"a":12345678901234567890,"b":1.0,"c":1e400,"d":-0}'],
    ['white space', '{ "a" :\n1 }'],
    ['a member twice', '{"a":1,"a":2}'],
    ['text beyond ASCII', '{"a":"科幻😀\u2028"}'],
    ['what replace() would take as a pattern', `{"a":"$& $1 $' $$"}`],
  ])('carries payload and metadata as they were encoded: %s', (_, json) => {
    const value = encodeEnvelope(anEvent({ payload: json, metadata: json }));
    expect(value.endsWith(`,"payload":${json},"metadata":${json}}`)).toBe(true);
    expect(() => JSON.parse(value) as unknown).not.toThrow();
  });
});

describe('the headers of a record', () => {
  it('are CloudEvents 1.0, the trace and the place in the stream, and nothing else', () => {
    expect(Object.entries(recordHeaders(anEvent(), TRACEPARENT))).toEqual([
      ['ce_specversion', '1.0'],
      ['ce_id', '01900000-0000-7000-8000-00000000e002'],
      ['ce_source', '/genesis/sessions'],
      ['ce_type', 'Genesis.Session.Proposed'],
      ['ce_time', '2026-11-23T05:32:01.007Z'],
      ['ce_subject', '018f3a5c-7b1e-7c3d-9f21-3a4b5c6d7e8f'],
      ['content-type', 'application/json'],
      ['traceparent', TRACEPARENT],
      ['sequence', '2'],
      ['previous', '01900000-0000-7000-8000-00000000e001'],
    ]);
  });

  it('name no previous event on the first of a session', () => {
    expect(recordHeaders(aFirstEvent(), TRACEPARENT)).not.toHaveProperty('previous');
    expect(recordHeaders(aFirstEvent(), TRACEPARENT)).toHaveProperty('sequence', '1');
  });

  it('have no trace when the command came without', () => {
    expect(recordHeaders(anEvent(), null)).not.toHaveProperty('traceparent');
    expect(Object.keys(recordHeaders(aFirstEvent(), null))).toHaveLength(8);
  });
});

describe('a timestamp', () => {
  it('is RFC 3339 in UTC with milliseconds', () => {
    expect(timestamp(0)).toBe('1970-01-01T00:00:00.000Z');
    expect(timestamp(Date.UTC(2028, 1, 29, 23, 59, 59, 999))).toBe('2028-02-29T23:59:59.999Z');
  });
});
