import { describe, expect, it } from 'vitest';
import { BatchWork, type BatchOutcome, type BatchSettings } from '../../src/commands/batch-work.ts';
import type { BoundKey, CommandRequest, LockedSessions } from '../../src/commands/ports.ts';
import type { SessionId, UserId } from '../../src/genesis/ids.ts';
import type { Session } from '../../src/genesis/session.ts';
import { AUTHOR, commandId, created, SESSION, sessionAfter, submitFeedback } from '../genesis/given.ts';

const SETTINGS: BatchSettings = {
  destination: { topic: 'domain-events', shards: 8 },
  generationTimeout: 600_000,
  newId: () => '01900000-0000-7000-8000-0000000000ff',
};
const OTHER = '01900000-0000-7000-8000-000000000001' as SessionId;
const session: Session = sessionAfter(created());
const idempotencyKey = { key: 'k', fingerprint: 'f' };

function feedback(members: Partial<CommandRequest> = {}): CommandRequest {
  return {
    commandId: commandId(1),
    sessionId: SESSION,
    actor: { userId: AUTHOR, role: 'author' },
    command: submitFeedback(),
    idempotencyKey: null,
    expectedVersion: null,
    traceparent: null,
    ...members,
  };
}

/** SESSION holds events of a newer program; OTHER does not. */
function judge(request: CommandRequest, bound: readonly BoundKey[] = []): { outcome: BatchOutcome; work: BatchWork } {
  const sessions = [session, { ...session, sessionId: OTHER }];
  const locked: LockedSessions = { sessions, busy: [], tooNew: [SESSION], now: 5_000 };
  const work = new BatchWork(locked, { unfinished: [], bound }, SETTINGS);
  return { outcome: work.judge(request), work };
}

describe('a command for a session that holds events of a newer program', () => {
  it('fails as UNAVAILABLE and leaves nothing to write', () => {
    const { outcome, work } = judge(feedback());
    expect(outcome).toMatchObject({ kind: 'failed', error: { code: 'UNAVAILABLE' } });
    expect(work.hasRows).toBe(false);
  });

  it('fails so before its state is looked at', () => {
    expect(judge(feedback({ expectedVersion: 77 })).outcome).toMatchObject({ kind: 'failed' });
  });

  it('keeps its batch-mates from nothing', () => {
    const { work } = judge(feedback());
    expect(work.judge(feedback({ sessionId: OTHER, commandId: commandId(2) }))).toMatchObject({ kind: 'accepted' });
    expect(work.rows().sessions.map((change) => change.session.sessionId)).toEqual([OTHER]);
  });

  it('of a stranger is told, as ever, that there is no such session', () => {
    const stranger = { userId: 'somebody else' as UserId, role: 'author' } as const;
    expect(judge(feedback({ actor: stranger })).outcome).toMatchObject({ refusal: { code: 'SESSION_NOT_FOUND' } });
  });

  it('is answered again when it was accepted before', () => {
    const answer = {
      commandId: commandId(9),
      sessionId: SESSION,
      status: 'COMPLETED',
      version: 1,
      session: null,
    } as const;
    const bound = { sessionId: SESSION, userId: AUTHOR, key: 'k', fingerprint: 'f', createsSession: false, answer };
    const { outcome } = judge(feedback({ idempotencyKey }), [bound]);
    expect(outcome).toEqual({ kind: 'accepted', answer, replayed: true });
  });
});
