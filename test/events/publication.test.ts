import { describe, expect, test } from 'vitest';
import type { OutboxFacts } from '../../src/events/ports.ts';
import { publicationOf } from '../../src/events/publication.ts';
import type { EventId } from '../../src/genesis/ids.ts';

const EARLIER = '01890a5d-ac96-774b-bcce-b302099a8057' as EventId;

const row = (changes: Partial<OutboxFacts>): OutboxFacts => ({
  status: 'PENDING',
  topic: 'domain-events',
  partition: null,
  offset: null,
  sentAt: null,
  retryCount: 0,
  lastError: null,
  blockedBy: null,
  ...changes,
});

describe('where an event is on its way out', () => {
  test('fresh: pending, never tried', () => {
    expect(publicationOf(row({}))).toStrictEqual({
      status: 'pending',
      topic: 'domain-events',
      partition: null,
      offset: null,
      sentAt: null,
      attempts: 0,
      lastError: null,
      heldBy: null,
    });
  });

  test('refused twice and to be tried again: pending, with what the broker said', () => {
    const publication = publicationOf(row({ retryCount: 2, lastError: 'too large' }));
    expect(publication).toMatchObject({ status: 'pending', attempts: 2, lastError: 'too large' });
  });

  test('behind an event that it may not overtake: held, by that one', () => {
    expect(publicationOf(row({ blockedBy: EARLIER }))).toMatchObject({ status: 'held', heldBy: EARLIER });
  });

  test('acknowledged at the first try: sent, one attempt, with its place in the topic', () => {
    const facts = row({ status: 'SENT', partition: 3, offset: 1041, sentAt: 5 });
    expect(publicationOf(facts)).toMatchObject({ status: 'sent', partition: 3, offset: 1041, sentAt: 5, attempts: 1 });
  });

  test('refused, tried again three times, refused for good: failed, four attempts', () => {
    const facts = row({ status: 'FAILED', retryCount: 3, lastError: 'too large' });
    expect(publicationOf(facts)).toMatchObject({ status: 'failed', attempts: 4, lastError: 'too large', heldBy: null });
  });

  test('given up by an operator: discarded', () => {
    expect(publicationOf(row({ status: 'DISCARDED' }))).toMatchObject({ status: 'discarded', attempts: 0 });
  });

  test('cleaned up: sent, and no longer known where', () => {
    expect(publicationOf(null)).toStrictEqual({
      status: 'sent',
      topic: null,
      partition: null,
      offset: null,
      sentAt: null,
      attempts: null,
      lastError: null,
      heldBy: null,
    });
  });
});
