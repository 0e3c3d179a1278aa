import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeEnvelope } from '../../src/operations/decode-envelope.ts';
import { encodeEnvelope } from '../../src/outbox/envelope.ts';
import { anEvent } from '../outbox/an-event.ts';

describe('reading an event out of its record', () => {
  it('gives every event back whose value was made of it, byte by byte', () => {
    // Any JSON object, written in any of the ways in which JSON can be written.
    const json = fc
      .tuple(fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue()), fc.constantFrom('', ' ', '\t'))
      .map(([value, space]) => JSON.stringify(value, null, space));
    fc.assert(
      fc.property(json, json, fc.integer({ min: 1, max: 2 ** 31 - 1 }), (payload, metadata, aggregateVersion) => {
        const { previous: _, ...event } = { ...anEvent(), payload, metadata, aggregateVersion };
        expect(decodeEnvelope(encodeEnvelope({ ...event, previous: null }))).toEqual(event);
      }),
    );
  });

  it('is not misled by members within payload and metadata that look like its own', () => {
    const payload = '{"payload":{"metadata":{}},"a":"}\\",\\"metadata\\":{"}';
    const metadata = '{"user_id":"x","metadata":{"payload":1}}';
    const { previous: _, ...event } = { ...anEvent(), payload, metadata };
    expect(decodeEnvelope(encodeEnvelope({ ...event, previous: null }))).toEqual(event);
  });

  const value = encodeEnvelope(anEvent());
  it.each([
    ['no JSON', 'hello'],
    ['no object', '7'],
    ['null', 'null'],
    ['nothing', ''],
    ['another thing', '{"hello":"world"}'],
    ['space that we do not write', ` ${value}`],
    ['a member more', value.replace('"payload"', '"more":1,"payload"')],
    ['members in another order', value.replace(/^\{("event_id":"[^"]*"),("event_type":"[^"]*"),/u, '{$2,$1,')],
    ['a time in another form', value.replace(/\.(\d{3})Z"/u, '.$1+00:00"')],
    ['another aggregate', value.replace('GENESIS_SESSION', 'SOMETHING_ELSE')],
    ['a payload that is no object', value.replace(/"payload":\{.*\},"metadata"/u, '"payload":7,"metadata"')],
    ['no metadata', value.replace(/,"metadata":\{.*\}\}$/u, '}')],
  ])('refuses %s', (_what, other) => {
    expect(other).not.toBe(value);
    expect(decodeEnvelope(other)).toBeNull();
  });
});
