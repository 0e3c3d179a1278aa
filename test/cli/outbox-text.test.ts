import { describe, expect, it } from 'vitest';
import { actionsText, figuresText, previewText, resultText, rowsText } from '../../src/cli/outbox-text.ts';
import { shardsText } from '../../src/cli/shards.ts';
import type { EventId, SessionId } from '../../src/genesis/ids.ts';
import type { Backlog, Backlogs } from '../../src/outbox/operations/figures.ts';
import type { ExplainedRow } from '../../src/outbox/operations/operations.ts';
import type { OperatorAction, RelayFacts } from '../../src/outbox/operations/ports.ts';

/** The usual terminal. */
const WIDTH = 80;
const NOW = Date.UTC(2026, 10, 23, 5, 40);
const ID = '01890a5d-ac96-774b-bcce-b302099a8057';

const FULL: Backlog = {
  pending: 100_000,
  waitingForRetry: 100_000,
  held: 100_000,
  failed: 100_000,
  discarded: 100_000,
  sessionsOnHold: 100_000,
  oldestAge: 1_000_000,
  complete: false,
};
const BACKLOGS: Backlogs = { total: FULL, shards: new Map([[999, FULL]]) };

const ROW: ExplainedRow = {
  row: {
    id: 12_345_678,
    eventId: ID as EventId,
    eventType: 'Genesis.Session.Submitted',
    sessionId: ID as SessionId,
    sequence: 1_000,
    shard: 999,
    topic: 'domain-events',
    status: 'PENDING',
    retryCount: 0,
    maxRetries: 3,
    lastError: null,
    scheduledAt: NOW,
    createdAt: NOW,
    age: 100_000,
    sentAt: null,
    partition: null,
    offset: null,
  },
  waits: [{ reason: 'SHARD_PAUSED', detail: 'a reason that takes many words to tell', until: null, behind: null }],
};

const ACTION: OperatorAction = {
  id: 1,
  at: NOW,
  callId: ID,
  actor: 'somebody@a-very-long-name.example.com',
  via: 'http',
  action: 'discard',
  filter: {},
  reason: 'They were made by a defect that has been mended since, and nobody will ever miss them',
  eventIds: [ID as EventId],
  shards: [],
};

const RELAYS: RelayFacts = {
  shards: [
    {
      shard: 999,
      owner: { id: 1_234, name: 'relay-7d9f6c5b8-x2x4z 4711' },
      leaseExpiresIn: 4.2,
      state: 'unavailable',
      paused: true,
      topicAheadAt: null,
      epoch: 1,
      floor: 1,
      position: '12345678',
      lastProgressAt: NOW,
      lastError: 'NOT_ENOUGH_REPLICAS: Messages are rejected since there are fewer in-sync replicas than required.',
    },
  ],
  members: [
    {
      id: 1_234,
      name: 'relay-7d9f6c5b8-x2x4z 4711',
      delivery: 'at-least-once',
      joinedAt: NOW,
      expiresIn: -100_000,
      shards: Array.from({ length: 100 }, (_, index) => index),
    },
  ],
  topicAhead: false,
};

const linesOf = (text: string) => text.split('\n');

describe('what operators read on a terminal of 80 columns', () => {
  it.each([
    ['the figures', figuresText(BACKLOGS, WIDTH)],
    ['a list of rows', rowsText([ROW], WIDTH)],
    ['the shards', shardsText(RELAYS, BACKLOGS, WIDTH)],
    ['the audit trail', actionsText([ACTION], WIDTH)],
  ])('fits, be it ever so much: %s', (_what, text) => {
    for (const line of linesOf(text)) expect(line.length, line).toBeLessThanOrEqual(WIDTH);
  });

  it('says below the shards what is on hold, and what to do when it waits for somebody', () => {
    const footer = (counts: Partial<Backlog>) =>
      linesOf(shardsText(RELAYS, { ...BACKLOGS, total: { ...FULL, complete: true, ...counts } }, WIDTH)).slice(-2);
    expect(footer({ sessionsOnHold: 3, failed: 1 })).toEqual([
      '3 sessions on hold; 1 event is FAILED',
      '→ npx genesis outbox list --status FAILED, then retry or discard',
    ]);
    expect(footer({ sessionsOnHold: 1, failed: 0 })).toEqual([
      '1 session on hold; 0 events are FAILED',
      '→ nothing: they are retried by themselves, or go out next',
    ]);
    expect(footer({ sessionsOnHold: 0, failed: 0 })).toEqual(['', 'No relay runs: npx genesis relay']);
    expect(footer({ sessionsOnHold: 2, failed: 4, complete: false })[0]).toBe(
      '≥ 2 sessions on hold; ≥ 4 events are FAILED',
    );
  });

  it('says that numbers are only a part', () => {
    const [, first = '', , note] = linesOf(figuresText(BACKLOGS, WIDTH));
    expect(first).toMatch(/^999 +≥ 100,000 +≥ 100,000/);
    expect(note).toBe('≥: at least; there is more than was counted');
  });

  it('says when a preview shows a part, and that the rest is for another time', () => {
    const preview = { count: 5_000, complete: false, token: '5000-x', sample: [ROW] };
    const text = previewText('discard', preview, 'the command', WIDTH);
    expect(linesOf(text)[0]).toBe('≥ 5,000 rows would be discarded (→ DISCARDED, for good):');
    expect(text).toMatch(
      /\n…\nThese are done first; run it again for the others\.\nNothing was changed\. To do it:\n {2}the command$/,
    );
  });

  it('says what was done, and what was not', () => {
    const result = { affected: 5_000, skipped: 0, skippedIds: [], complete: false, interrupted: null };
    expect(resultText('retry', ID, result)).toMatch(/^retried 5,000 rows\n.*\nthere are more: run it again$/);
    const ended = { ...result, affected: 200, interrupted: 'The database cannot be reached' };
    expect(resultText('retry', ID, ended)).toMatch(
      /it ended early; what was done stays done: The database cannot be reached$/,
    );
    const skippedIds = Array.from({ length: 100 }, (_, index) => index);
    const skipped = resultText('discard', ID, { ...result, affected: 0, skipped: 120, skippedIds, complete: true });
    expect(skipped).toMatch(/^discarded 0 rows\nleft alone 120 rows, .*: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 …$/);
  });
});
