import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { Deadlines } from '../../src/commands/deadlines.ts';
import type { GroupCommit } from '../../src/commands/group-commit.ts';
import type { CommandRequest, CommandService } from '../../src/commands/ports.ts';
import type { Command } from '../../src/genesis/commands.ts';
import type { CommandId, SessionId, UserId } from '../../src/genesis/ids.ts';
import { createCommandStore } from '../../src/postgres/command-store.ts';
import { createOverdueRequests } from '../../src/postgres/overdue-requests.ts';
import { sql } from '../../src/postgres/sql.ts';
import { createRead } from '../../src/postgres/read.ts';
import { accepted, createSession, groupCommit, request, requestConcepts, silent } from '../support/commands.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const GENERATION_TIMEOUT = 600_000;
const FIND_OVERDUE = sql('commands/find-overdue');

/** An API process, as far as commands go. */
interface Replica {
  readonly commands: GroupCommit;
  readonly pool: pg.Pool;
}

interface Waiting {
  readonly sessionId: SessionId;
  readonly requestId: CommandId;
}

describe('requests past their deadline', () => {
  let database: TestDatabase;
  let replicas: readonly [Replica, Replica];

  const startReplica = async (): Promise<Replica> => {
    const pool = new pg.Pool({ connectionString: database.url, max: 5 });
    const commands = groupCommit(createCommandStore(pool), { generationTimeout: GENERATION_TIMEOUT });
    await commands.start();
    return { commands, pool };
  };

  beforeAll(async () => {
    database = await createTestDatabase();
    replicas = [await startReplica(), await startReplica()];
  });
  afterAll(async () => {
    for (const { commands, pool } of replicas) {
      await commands.stop();
      await pool.end();
    }
    await database.drop();
  });

  const query = async <Row extends object>(text: string, ...values: readonly unknown[]) => {
    const { rows } = await replicas[0].pool.query<Row>(text, [...values]);
    return rows;
  };

  /** A session whose request waits for its answer. */
  async function ask(): Promise<Waiting> {
    const { commands } = replicas[0];
    const { answer } = accepted(await commands.execute(request(createSession())));
    const { sessionId } = answer;
    const asked = accepted(await commands.execute(request(requestConcepts, { sessionId })));
    return { sessionId, requestId: asked.answer.commandId };
  }

  const makeOverdue = (waiting: Waiting) =>
    query(`UPDATE command_inbox SET deadline = clock_timestamp() - interval '1 ms' WHERE id = $1`, waiting.requestId);

  const proposal = ({ requestId }: Waiting): Command => ({
    type: 'ProposeConcepts',
    payload: { request_id: requestId, concepts: [{ title: '三体之外', summary: 'A concept' }] },
  });

  async function startDeadlines({ pool, commands }: Replica, service: CommandService = commands): Promise<void> {
    const settings = { generationTimeout: GENERATION_TIMEOUT, newId: uuidv7 };
    const deadlines = new Deadlines(createOverdueRequests(createRead(pool, 5_000)), service, settings, silent);
    onTestFinished(() => deadlines.stop());
    await deadlines.start();
  }

  const inboxOf = ({ sessionId }: Waiting) =>
    query<{ id: CommandId; command_type: string; user_id: string; status: string; error_message: string | null }>(
      'SELECT id, command_type, user_id, status, error_message FROM command_inbox WHERE session_id = $1 ORDER BY first_version',
      sessionId,
    );
  const answersOf = ({ sessionId }: Waiting) =>
    query<{
      event_type: string;
      payload: object;
      metadata: object;
      correlation_id: string;
      causation_id: string;
      event_id: string;
    }>(
      `SELECT event_id, event_type, payload, metadata, correlation_id, causation_id FROM domain_events
       WHERE aggregate_id = $1 AND event_type <> 'Genesis.Session.Created' ORDER BY aggregate_version`,
      sessionId,
    );
  const ended = async (waiting: Waiting) => {
    const rows = await inboxOf(waiting);
    expect(rows.find((row) => row.id === waiting.requestId)?.status).not.toBe('PROCESSING');
  };

  it('fail with an event that answers them, by a command of the system with a row of its own', async () => {
    const waiting = await ask();
    await makeOverdue(waiting);
    await startDeadlines(replicas[0]);
    await vi.waitFor(() => ended(waiting), 10_000);

    expect(await inboxOf(waiting)).toMatchObject([
      { command_type: 'CreateSession', status: 'COMPLETED' },
      { id: waiting.requestId, user_id: 'ada', status: 'FAILED', error_message: 'DEADLINE_EXCEEDED' },
      { command_type: 'FailConceptGeneration', user_id: 'system', status: 'COMPLETED', error_message: null },
    ]);
    const [asked, failed, ...others] = await answersOf(waiting);
    expect(failed).toMatchObject({
      event_type: 'Genesis.Session.Failed',
      payload: { request_id: waiting.requestId, reason: 'DEADLINE_EXCEEDED' },
      metadata: { user_id: 'system' },
      correlation_id: waiting.requestId,
      causation_id: asked?.event_id,
    });
    expect(others).toEqual([]);
    const outbox = await query('SELECT 1 FROM event_outbox WHERE event_id = $1', failed?.event_id);
    expect(outbox).toHaveLength(1);
  });

  it('leave the author free to ask again', async () => {
    const waiting = await ask();
    const repeat = () => replicas[0].commands.execute(request(requestConcepts, { sessionId: waiting.sessionId }));
    expect(await repeat()).toMatchObject({ refusal: { code: 'DUPLICATE_COMMAND' } });
    await makeOverdue(waiting);
    await startDeadlines(replicas[0]);
    await vi.waitFor(() => ended(waiting), 10_000);
    expect(await repeat()).toMatchObject({ kind: 'accepted' });
  });

  it('are told apart from those that still have time', async () => {
    const [overdue, inTime] = [await ask(), await ask()];
    await makeOverdue(overdue);
    await startDeadlines(replicas[0]);
    await vi.waitFor(() => ended(overdue), 10_000);
    expect(await inboxOf(inTime)).toMatchObject([{}, { status: 'PROCESSING' }]);
  });

  it('fail once, though two replicas fire at the same moment', async () => {
    const waiting = await Promise.all(Array.from({ length: 20 }, ask));
    for (const one of waiting) await makeOverdue(one);
    // Each replica has read the request as overdue before either fails it.
    const fired = new Map<string, PromiseWithResolvers<void>>();
    const outcomes: string[] = [];
    const together = ({ commands }: Replica): CommandService => ({
      execute: async (command: CommandRequest) => {
        const first = fired.get(command.sessionId);
        const meeting = first ?? Promise.withResolvers<void>();
        fired.set(command.sessionId, meeting);
        if (first !== undefined) meeting.resolve();
        await meeting.promise;
        const outcome = await commands.execute(command);
        outcomes.push(outcome.kind === 'accepted' ? 'accepted' : outcome.refusal.code);
        return outcome;
      },
    });
    await Promise.all(replicas.map((replica) => startDeadlines(replica, together(replica))));
    await vi.waitFor(() => expect(outcomes).toHaveLength(40), 10_000);

    expect(outcomes.filter((outcome) => outcome === 'accepted')).toHaveLength(20);
    expect(outcomes.filter((outcome) => outcome === 'NOTHING_TO_ANSWER')).toHaveLength(20);
    for (const one of waiting) {
      expect(await answersOf(one)).toMatchObject([
        { event_type: 'Genesis.Session.Requested' },
        { event_type: 'Genesis.Session.Failed' },
      ]);
      expect(await inboxOf(one)).toHaveLength(3);
    }
  });

  it('fail or are answered, never both, when an agent is late', async () => {
    const waiting = await Promise.all(Array.from({ length: 20 }, ask));
    for (const one of waiting) await makeOverdue(one);
    await startDeadlines(replicas[0]);
    const agent = { userId: 'agent-1' as UserId, role: 'agent' } as const;
    const outcomes = await Promise.all(
      waiting.map((one) => {
        const late = request(proposal(one), { sessionId: one.sessionId, actor: agent });
        return replicas[1].commands.execute(late);
      }),
    );
    for (const [index, one] of waiting.entries()) {
      await vi.waitFor(() => ended(one), 10_000);
      const answered = outcomes[index]?.kind === 'accepted';
      const [, ...answers] = await answersOf(one);
      expect(answers.map((event) => event.event_type)).toEqual([
        answered ? 'Genesis.Session.Proposed' : 'Genesis.Session.Failed',
      ]);
      expect(answers[0]?.correlation_id).toBe(one.requestId);
      expect(await inboxOf(one)).toMatchObject([{}, { status: answered ? 'COMPLETED' : 'FAILED' }, {}]);
    }
  });

  it('are found page by page, in the order in which they are due, whatever their times have in common', async () => {
    const [, { pool }] = replicas;
    const waiting = await Promise.all(Array.from({ length: 7 }, ask));
    const ids = waiting.map((one) => one.requestId).sort();
    await query(`UPDATE command_inbox SET deadline = '2020-01-01 00:00:00.123456Z' WHERE id = ANY ($1)`, ids);
    const requests = createOverdueRequests(createRead(pool, 5_000));
    const found: string[] = [];
    for (let place = (await requests.find(null, 2)).next; ;) {
      const page = await requests.find(place, 2);
      found.push(...page.overdue.map((one) => one.requestId));
      place = page.next;
      if (place === null) {
        expect(page.nextDueIn === null || page.nextDueIn > 0).toBe(true);
        break;
      }
    }
    expect(found).toEqual(ids.slice(2));
  });

  it('are found in the order in which they are due, and the first that is not is told', async () => {
    const waiting = await Promise.all(Array.from({ length: 4 }, ask));
    // As text they would sort otherwise.
    const deadlines = ['0001-12-31 BC', '1999-06-01 00:00:00.5Z', '1999-06-01 00:00:00.25Z', '0099-12-31 BC'];
    for (const [index, { requestId }] of waiting.entries()) {
      await query('UPDATE command_inbox SET deadline = $2 WHERE id = $1', requestId, deadlines[index]);
    }
    const { overdue, next } = await createOverdueRequests(createRead(replicas[0].pool, 5_000)).find(null, 4);
    expect(overdue.map((one) => one.requestId)).toEqual([3, 0, 2, 1].map((index) => waiting[index]?.requestId));
    expect(next).not.toBeNull();
    await query(`UPDATE command_inbox SET status = 'COMPLETED' WHERE status = 'PROCESSING'`);
    await ask();
    const { nextDueIn } = await createOverdueRequests(createRead(replicas[0].pool, 5_000)).find(null, 4);
    expect(nextDueIn).toBeGreaterThan(GENERATION_TIMEOUT - 60_000);
    expect(nextDueIn).toBeLessThanOrEqual(GENERATION_TIMEOUT);
  });

  it('are looked for by the index of unanswered requests alone', async () => {
    const { pool } = replicas[0];
    const client = await pool.connect();
    try {
      await client.query('SET enable_seqscan = off');
      await client.query('SET enable_sort = off');
      await client.query('SET plan_cache_mode = force_generic_plan');
      await client.query(`PREPARE look (timestamptz, uuid, int) AS ${FIND_OVERDUE}`);
      const { rows } = await client.query<{ 'QUERY PLAN': string }>(
        `EXPLAIN EXECUTE look ('-infinity', '00000000-0000-0000-0000-000000000000', 50)`,
      );
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
      expect(plan).toContain('Index Scan using command_inbox_deadline');
      expect(plan).toMatch(/Index Cond: .*deadline/);
      // Read in the order of the index, not sorted as a whole.
      expect(plan).toContain('Presorted Key: deadline');
    } finally {
      client.release(true);
    }
  });
});
