import { describe, expect, it } from 'vitest';
import { EVENT_VERBS, isEventName } from '../../src/genesis/event-names.ts';
import { EVENT_VERSIONS } from '../../src/genesis/events.ts';

describe('the verb table', () => {
  it('is the official one', () => {
    expect([...EVENT_VERBS].toSorted()).toEqual(
      'Completed Confirmed Created Failed Finished Proposed Requested Revised Submitted Updated'.split(' '),
    );
  });

  it.each(Object.keys(EVENT_VERSIONS))('names %s', (name) => {
    expect(isEventName(name)).toBe(true);
  });
});

describe('an event name', () => {
  it('may name a part of its aggregate', () => {
    expect(isEventName('Genesis.Session.Concept.Revised')).toBe(true);
  });

  it.each([
    ['a verb outside the table', 'Genesis.Session.Deleted'],
    ['a verb that is not in the past tense', 'Genesis.Session.Create'],
    ['a version', 'Genesis.Session.Created.v2'],
    ['a version before the verb', 'Genesis.Session.v2.Created'],
    ['no aggregate', 'Genesis.Created'],
    ['two parts of the aggregate', 'Genesis.Session.Concept.Title.Updated'],
    ['a small letter at the beginning', 'genesis.Session.Created'],
    ['something before it', ' Genesis.Session.Created'],
    ['a line after it', 'Genesis.Session.Created\n'],
    ['another separator', 'Genesis-Session.Created'],
    ['nothing', ''],
  ])('is not one with %s', (_, name) => {
    expect(isEventName(name)).toBe(false);
  });
});

describe('event versions', () => {
  it.each(Object.entries(EVENT_VERSIONS))('%s is written in a whole version from 1', (_, version) => {
    expect(Number.isInteger(version) && version >= 1).toBe(true);
  });
});
