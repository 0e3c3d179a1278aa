import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EVENT_VERSIONS, type EventType } from '../../src/genesis/events.ts';
import type { JsonObject } from '../../src/genesis/session.ts';
import { createUpcaster, upcast, type VersionHistory } from '../../src/genesis/upcast.ts';

/**
 * A history that an event might have: it began with one `name`, then told first and family name apart, then knew the
 * language that the name is written in.
 */
const NAMED: VersionHistory = {
  versions: { 'Genesis.Author.Named': 3, 'Genesis.Author.Left': 1 },
  upcasters: {
    'Genesis.Author.Named': {
      1: ({ name, ...rest }) => {
        const [first = '', ...family] = typeof name === 'string' ? name.split(' ') : [];
        return { ...rest, first_name: first, family_name: family.join(' ') };
      },
      2: (payload) => ({ ...payload, language: null }),
    },
  },
};

const named = (eventVersion: number, payload: JsonObject) => {
  return { eventType: 'Genesis.Author.Named', eventVersion, payload };
};

describe('an event of an older version', () => {
  const bring = createUpcaster(NAMED);

  it('is brought to the current version, one step after another', () => {
    expect(bring(named(1, { name: 'Ada Byron King', id: 7 }))).toEqual({
      known: true,
      version: 3,
      payload: { id: 7, first_name: 'Ada', family_name: 'Byron King', language: null },
    });
  });

  it('begins its way at the step of its own version', () => {
    expect(bring(named(2, { first_name: 'Ada', family_name: 'Byron' }))).toEqual({
      known: true,
      version: 3,
      payload: { first_name: 'Ada', family_name: 'Byron', language: null },
    });
  });

  it('is left as it was stored', () => {
    const stored = Object.freeze(named(1, Object.freeze({ name: 'Ada Byron' })));
    expect(bring(stored)).toEqual(bring(structuredClone(stored)));
    expect(stored).toEqual(named(1, { name: 'Ada Byron' }));
  });
});

describe('an event of the current version', () => {
  it('is what it is', () => {
    const payload = { first_name: 'Ada', family_name: 'Byron', language: 'en' };
    expect(createUpcaster(NAMED)(named(3, payload))).toEqual({ known: true, version: 3, payload });
  });

  it.each(Object.entries(EVENT_VERSIONS))('%s/%i is known to this program', (eventType, eventVersion) => {
    const payload = { a: [1, { b: null }] };
    const event = { type: eventType, payload };
    expect(upcast({ eventType, eventVersion, payload })).toEqual({ known: true, event, version: eventVersion });
  });
});

describe('an event that is newer than the program', () => {
  it('is unknown by its version', () => {
    expect(createUpcaster(NAMED)(named(4, {}))).toEqual({ known: false });
    fc.assert(
      fc.property(fc.constantFrom(...(Object.keys(EVENT_VERSIONS) as EventType[])), fc.nat(), (eventType, further) => {
        const eventVersion = EVENT_VERSIONS[eventType] + 1 + further;
        expect(upcast({ eventType, eventVersion, payload: {} })).toEqual({ known: false });
      }),
    );
  });

  it.each(['Genesis.Session.Revised', 'constructor', '__proto__', ''])('is unknown by its type: %s', (eventType) => {
    expect(upcast({ eventType, eventVersion: 1, payload: {} })).toEqual({ known: false });
  });

  it('never had a version below 1', () => {
    expect(upcast({ eventType: 'Genesis.Session.Created', eventVersion: 0, payload: {} })).toEqual({ known: false });
  });
});

describe('a chain of upcasters', () => {
  const versions = { 'Genesis.Author.Named': 3 };
  const step = (payload: JsonObject) => payload;

  it.each([
    ['lacks its first step', { 2: step }],
    ['lacks a step in the middle', { 1: step, 3: step }],
    ['lacks its last step', { 1: step }],
    ['leads past the current version', { 1: step, 2: step, 3: step }],
    ['is not there', undefined],
  ])('is refused at the start when it %s', (_, steps) => {
    const upcasters = steps === undefined ? {} : { 'Genesis.Author.Named': steps };
    expect(() => createUpcaster({ versions, upcasters })).toThrow(/^Genesis\.Author\.Named: upcasters start from/);
  });
});
