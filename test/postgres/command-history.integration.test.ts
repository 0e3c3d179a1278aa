import fc from 'fast-check';
import type pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GroupCommit } from '../../src/commands/group-commit.ts';
import type { CommandOutcome, CommandRequest } from '../../src/commands/ports.ts';
import type { Command } from '../../src/genesis/commands.ts';
import { evolve } from '../../src/genesis/evolve.ts';
import type { DomainEvent } from '../../src/genesis/events.ts';
import type { CommandId, EventId, SessionId, UserId } from '../../src/genesis/ids.ts';
import { STAGES, type Session } from '../../src/genesis/session.ts';
import { createCommandStore } from '../../src/postgres/command-store.ts';
import { createPool } from '../../src/postgres/pool.ts';
import { createRead } from '../../src/postgres/read.ts';
import { readSession } from '../../src/postgres/session-reader.ts';
import { accepted, createSession, groupCommit, request, requestConcepts, silent } from '../support/commands.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const RUNS = 40;
const SESSIONS = 3;

/** What somebody does to one of the sessions, through one of two API processes. */
interface Step {
  readonly replica: 0 | 1;
  readonly session: number;
  readonly action: 'request' | 'propose' | 'fail' | 'feedback' | 'confirm' | 'update' | 'abandon';
  readonly stage: (typeof STAGES)[number];
  readonly key: string | null;
}

const step: fc.Arbitrary<Step> = fc.record({
  replica: fc.constantFrom(0, 1),
  session: fc.nat({ max: SESSIONS - 1 }),
  action: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom('request', 'propose', 'fail', 'feedback') },
    { weight: 3, arbitrary: fc.constantFrom('confirm', 'update') },
    { weight: 1, arbitrary: fc.constant('abandon') },
  ),
  stage: fc.oneof({ weight: 3, arbitrary: fc.constant(STAGES[0]) }, fc.constantFrom(...STAGES)),
  key: fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, fc.constantFrom('a', 'b')),
});

/** Steps that run side by side, then the next ones. */
const history = fc.array(fc.array(step, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 5 });

function commandOf({ action, stage }: Step, requestId: CommandId): Command {
  switch (action) {
    case 'request':
      return requestConcepts;
    case 'propose':
      return { type: 'ProposeConcepts', payload: { request_id: requestId, concepts: [{ title: 't', summary: 's' }] } };
    case 'fail':
      return { type: 'FailConceptGeneration', payload: { request_id: requestId, reason: 'r' } };
    case 'feedback':
      return { type: 'SubmitFeedback', payload: { feedback: 'f' } };
    case 'confirm':
      return { type: 'ConfirmStage', payload: { stage, data: { stage } } };
    case 'update':
      return { type: 'UpdateSession', payload: { idea: stage } };
    case 'abandon':
      return { type: 'AbandonSession', payload: {} };
  }
}

describe('any history of commands, side by side on two replicas', () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  /** A batch that had to be decided again, one by one, would say so. */
  const complaints: string[] = [];
  let replicas: readonly [GroupCommit, GroupCommit];

  beforeAll(async () => {
    database = await createTestDatabase();
    pool = createPool({ url: database.url, poolSize: 8 }, 'test', silent);
    const logger = pino({ level: 'warn' }, { write: (line: string) => void complaints.push(line) });
    const store = createCommandStore(pool);
    replicas = [groupCommit(store, { batchMax: 5 }, logger), groupCommit(store, { batchMax: 64 }, logger)];
    for (const replica of replicas) await replica.start();
  });
  afterAll(async () => {
    for (const replica of replicas) await replica.stop();
    await pool.end();
    await database.drop();
  });

  async function newSession(): Promise<SessionId> {
    const outcome = await replicas[0].execute(request(createSession()));
    return accepted(outcome).answer.sessionId;
  }

  async function perform(sent: Step, sessionId: SessionId): Promise<Answered> {
    const session = await readSession(createRead(pool, 5_000), sessionId);
    const command = commandOf(
      sent,
      session?.outstandingRequest?.requestId ?? (sessionId.replace(/^./u, 'f') as CommandId),
    );
    const agent = command.type === 'ProposeConcepts' || command.type === 'FailConceptGeneration';
    const sending = request(command, {
      sessionId,
      actor: agent ? { userId: 'bot' as UserId, role: 'agent' } : { userId: 'ada' as UserId, role: 'author' },
      idempotencyKey: sent.key === null ? null : { key: sent.key, fingerprint: JSON.stringify(command) },
    });
    return { sending, outcome: await replicas[sent.replica].execute(sending) };
  }

  interface Answered {
    readonly sending: CommandRequest;
    readonly outcome: CommandOutcome;
  }

  async function checkSession(sessionId: SessionId): Promise<void> {
    const events = await storedEvents(pool, sessionId);
    expect(events.map((event) => event.version)).toEqual(events.map((_, index) => index + 1));
    const fold = events.reduce<Session | null>(evolve, null);
    expect(await readSession(createRead(pool, 5_000), sessionId)).toEqual(fold);
    const outbox = await pool.query<{ event_id: string }>(
      'SELECT event_id FROM event_outbox WHERE key = $1 ORDER BY id',
      [sessionId],
    );
    expect(outbox.rows.map((row) => row.event_id)).toEqual(events.map((event) => event.eventId));
    const unfinished = await pool.query<{ id: string }>(
      `SELECT id FROM command_inbox WHERE session_id = $1 AND status = 'PROCESSING'`,
      [sessionId],
    );
    expect(unfinished.rows.map((row) => row.id)).toEqual(
      fold?.outstandingRequest ? [fold.outstandingRequest.requestId] : [],
    );
  }

  async function checkAnswers(answers: readonly Answered[]): Promise<void> {
    const ids = answers.map(({ sending }) => sending.commandId);
    const { rows } = await pool.query<{ id: string; last_version: number }>(
      'SELECT id, last_version FROM command_inbox WHERE id = ANY ($1)',
      [ids],
    );
    const stored = new Map(rows.map((row) => [row.id, row.last_version]));
    for (const { sending, outcome } of answers) {
      // A refusal and a replay leave no row; an acceptance tells the version that its row tells.
      const isNew = outcome.kind === 'accepted' && !outcome.replayed;
      expect(stored.get(sending.commandId)).toBe(isNew ? outcome.answer.version : undefined);
      if (outcome.kind === 'accepted' && outcome.replayed) {
        const first = answers.find((other) => other.sending.commandId === outcome.answer.commandId);
        expect(first?.sending.idempotencyKey).toEqual(sending.idempotencyKey);
      }
    }
  }

  it('leaves gapless versions, projection = fold, one outbox row per event in order, and answers that the tables bear out', async () => {
    await fc.assert(
      fc.asyncProperty(history, async (rounds) => {
        const sessions: SessionId[] = [];
        while (sessions.length < SESSIONS) sessions.push(await newSession());
        const answers: Answered[] = [];
        for (const round of rounds) {
          const done = round.map((sent) => perform(sent, sessions[sent.session] ?? ('' as SessionId)));
          answers.push(...(await Promise.all(done)));
        }
        for (const sessionId of sessions) await checkSession(sessionId);
        await checkAnswers(answers);
        expect(complaints).toEqual([]);
      }),
      { numRuns: RUNS },
    );
  }, 120_000);
});

interface StoredEvent {
  readonly event: DomainEvent;
  readonly eventId: EventId;
  readonly sessionId: SessionId;
  readonly version: number;
  readonly userId: UserId;
  readonly occurredAt: number;
}

async function storedEvents(pool: pg.Pool, sessionId: SessionId): Promise<readonly StoredEvent[]> {
  const { rows } = await pool.query<StoredEvent & { created_at: Date }>(
    `SELECT json_build_object('type', event_type, 'payload', payload) AS event, event_id AS "eventId", aggregate_id AS "sessionId",
            aggregate_version AS version, metadata ->> 'user_id' AS "userId", created_at
     FROM domain_events WHERE aggregate_id = $1 ORDER BY aggregate_version`,
    [sessionId],
  );
  return rows.map(({ created_at, ...event }) => ({ ...event, occurredAt: created_at.getTime() }));
}
