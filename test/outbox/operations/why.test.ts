import { describe, expect, it } from 'vitest';
import type { EventId, SessionId } from '../../../src/genesis/ids.ts';
import type { Hold, OutboxRow, RelayFacts, ShardFacts } from '../../../src/outbox/operations/ports.ts';
import { explainSession, isKeptBack, whatToDo, whyItWaits } from '../../../src/outbox/operations/why.ts';

const NOW = Date.UTC(2026, 10, 23);
const SESSION = '01890a5d-ac96-774b-bcce-b302099a8057' as SessionId;

const rowOf = (changes: Partial<OutboxRow> = {}): OutboxRow => ({
  id: 7,
  eventId: '01890a5d-ac96-774b-bcce-b302099a8059' as EventId,
  eventType: 'Genesis.Session.Submitted',
  sessionId: SESSION,
  sequence: 5,
  shard: 3,
  topic: 'domain-events',
  status: 'PENDING',
  retryCount: 0,
  maxRetries: 3,
  lastError: null,
  scheduledAt: NOW,
  createdAt: NOW - 60_000,
  age: 60,
  sentAt: null,
  partition: null,
  offset: null,
  ...changes,
});

const holdOf = (changes: Partial<Hold> = {}): Hold => ({
  sessionId: SESSION,
  nextSequence: 4,
  blocking: {
    id: 6,
    eventId: '01890a5d-ac96-774b-bcce-b302099a8060' as EventId,
    sequence: 4,
    status: 'FAILED',
    lastError: 'MESSAGE_TOO_LARGE',
  },
  waitsUntil: null,
  since: NOW,
  ...changes,
});

const relaysOf = (changes: Partial<ShardFacts> = {}, topicAhead = false): RelayFacts => ({
  shards: [
    {
      shard: 3,
      owner: { id: 1, name: 'a' },
      leaseExpiresIn: 4,
      state: 'active',
      paused: false,
      topicAheadAt: null,
      epoch: 1,
      floor: 1,
      position: '0',
      lastProgressAt: null,
      lastError: 'NOT_LEADER',
      ...changes,
    },
  ],
  members: [],
  topicAhead,
});

const retrying = (until: number, sequence = 4) =>
  holdOf({
    waitsUntil: until,
    blocking: { id: 6, eventId: rowOf().eventId, sequence, status: 'PENDING', lastError: 'INVALID_RECORD' },
  });

const reasons = (row: OutboxRow, hold: Hold | undefined, relays: RelayFacts) =>
  whyItWaits(row, hold, relays).map(({ reason, detail }) => `${reason}: ${detail}`);

describe('why a row waits', () => {
  it('for nothing but its turn', () => {
    expect(reasons(rowOf(), undefined, relaysOf())).toEqual([]);
    expect(reasons(rowOf(), holdOf({ blocking: null }), relaysOf())).toEqual([]);
    expect(reasons(rowOf({ sequence: 3 }), holdOf(), relaysOf())).toEqual([]);
  });

  it('no more, once it is settled', () => {
    expect(reasons(rowOf({ status: 'SENT', sentAt: NOW }), undefined, relaysOf({ paused: true }))).toEqual([]);
  });

  it('because it failed, or behind one that has, or that is retried, or for its own retry', () => {
    expect(reasons(rowOf({ status: 'FAILED', lastError: 'TOO_LARGE' }), holdOf(), relaysOf())).toEqual([
      'FAILED: the broker refused it for good: TOO_LARGE',
    ]);
    const behind = `HELD: held behind event 01890a5d-ac96-774b-bcce-b302099a80`;
    expect(reasons(rowOf(), holdOf(), relaysOf())).toEqual([
      `${behind}60 (sequence 4), which is FAILED: MESSAGE_TOO_LARGE`,
    ]);
    const [held] = whyItWaits(rowOf(), retrying(NOW + 900), relaysOf());
    expect(held).toMatchObject({
      until: NOW + 900,
      detail: expect.stringContaining('(sequence 4), which waits for its retry: INVALID_RECORD') as unknown,
    });
    const own = rowOf({ retryCount: 2, lastError: 'INVALID_RECORD' });
    expect(whyItWaits(own, retrying(NOW + 900, 5), relaysOf())).toEqual([
      {
        reason: 'RETRY',
        detail: 'the broker refused it, retry 2 of 3: INVALID_RECORD',
        until: NOW + 900,
        behind: null,
      },
    ]);
  });

  it('no more for a retry that is due', () => {
    expect(reasons(rowOf(), retrying(NOW - 1), relaysOf())).toEqual([]);
    expect(reasons(rowOf({ retryCount: 1 }), retrying(NOW, 5), relaysOf())).toEqual([]);
  });

  it.each<[string, RelayFacts]>([
    ['TOPIC_AHEAD: shard 3 has a record at offset 17 that the database lacks', relaysOf({ topicAheadAt: '17' })],
    ['TOPIC_AHEAD: the topic holds records that the database lacks', relaysOf({}, true)],
    ['SHARD_PAUSED: shard 3 is paused', relaysOf({ paused: true, state: 'paused' })],
    ['SHARD_NOT_OWNED: no relay drains shard 3', relaysOf({ owner: null })],
    ['SHARD_UNAVAILABLE: shard 3 cannot be written: NOT_LEADER', relaysOf({ state: 'unavailable' })],
    ['SHARD_RECOVERING: shard 3 is being taken over', relaysOf({ state: 'recovering' })],
    ['SHARD_NOT_OWNED: the relays know no such shard', { shards: [], members: [], topicAhead: false }],
  ])('%s', (words, relays) => {
    expect(reasons(rowOf(), undefined, relays)).toEqual([words]);
  });

  it('for several things at once, the nearest first', () => {
    const waits = whyItWaits(rowOf(), holdOf(), relaysOf({ paused: true, owner: null }));
    expect(waits.map(({ reason }) => reason)).toEqual(['HELD', 'SHARD_PAUSED', 'SHARD_NOT_OWNED']);
    expect(waits.map((wait) => whatToDo(wait, rowOf()))).toEqual([
      expect.stringMatching(/^npx genesis outbox retry --id 6 --yes/),
      'npx genesis shards resume 3',
      'Start a relay: npx genesis relay',
    ]);
  });
});

describe('whether a row is certainly kept back', () => {
  it('goes by the database’s clock', () => {
    expect(isKeptBack(rowOf(), retrying(NOW + 1))).toBe(true);
    expect(isKeptBack(rowOf(), retrying(NOW))).toBe(false);
    expect(isKeptBack(rowOf(), holdOf())).toBe(true);
    expect(isKeptBack(rowOf({ sequence: 3 }), holdOf())).toBe(false);
    expect(isKeptBack(rowOf(), undefined)).toBe(false);
  });
});

describe('a session in a sentence', () => {
  it('says what is next, and all that keeps it', () => {
    expect(explainSession(undefined)).toBe('Everything is published.');
    expect(explainSession({ row: rowOf(), waits: [] })).toMatch(
      /^Nothing is in the way: event .* goes out in its turn\.$/,
    );
    const row = rowOf({ status: 'DISCARDED' });
    const waits = whyItWaits(row, undefined, relaysOf({ paused: true, owner: null }));
    expect(explainSession({ row, waits })).toBe(
      `The next to go out is the marker of the discarded event ${row.eventId} (sequence 5): shard 3 is paused; and no relay drains shard 3.`,
    );
  });

  it('ends in one full stop, though the words of the broker are a sentence', () => {
    const row = rowOf({ status: 'FAILED', lastError: 'Larger than the server will accept.' });
    const told = explainSession({ row, waits: whyItWaits(row, undefined, relaysOf({ owner: null })) });
    expect(told).toMatch(/: Larger than the server will accept; and no relay drains shard 3\.$/);
    expect(explainSession({ row, waits: whyItWaits(row, undefined, relaysOf()) })).toMatch(/ will accept\.$/);
  });
});
