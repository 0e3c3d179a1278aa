import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Command } from '../../src/genesis/commands.ts';
import type { SessionId } from '../../src/genesis/ids.ts';
import { aimedAt, anyCommand, OUTSTANDING } from '../genesis/arbitrary-commands.ts';
import { readSession } from '../../src/postgres/session-reader.ts';
import { createRead } from '../../src/postgres/read.ts';
import { confirmStage, proposeConcepts, requestConcepts, submitFeedback, updateSession } from '../genesis/given.ts';
import { DAY, startAuditRig, type AuditRig } from './audit-rig.ts';

const UNKNOWN = '01900000-0000-7000-8000-0000000000aa' as SessionId;

describe('genesis verify', () => {
  let rig: AuditRig;
  beforeAll(async () => {
    rig = await startAuditRig();
  });
  afterAll(() => rig.stop());

  /** What verify finds in one session, without the words. */
  async function codes(sessionId: SessionId, retention = 7 * DAY): Promise<readonly string[]> {
    return (await rig.findings({ sessionId, retention })).map(({ code }) => code);
  }

  /** A session with five events, and a request in it that was answered. */
  async function busySession(): Promise<SessionId> {
    const sessionId = await rig.session(updateSession(), requestConcepts());
    const outstanding = (await readSession(createRead(rig.pool, 5_000), sessionId))?.outstandingRequest;
    await rig.send(sessionId, proposeConcepts(outstanding?.requestId ?? UNKNOWN), 'agent');
    await rig.send(sessionId, confirmStage('CONCEPT_SELECTION', { title: '星海', n: [1, { a: null }] }));
    return sessionId;
  }

  it('finds nothing after any sequence of commands', async () => {
    const commands = fc.array(anyCommand(fc.constant(OUTSTANDING)), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(commands, async (sent) => {
        const sessionId = await rig.session();
        for (const command of sent) {
          const session = await readSession(createRead(rig.pool, 5_000), sessionId);
          const aimed: Command = aimedAt(session?.outstandingRequest?.requestId ?? null, command);
          if ('request_id' in aimed.payload && aimed.payload.request_id === OUTSTANDING) continue;
          await rig.send(sessionId, aimed, 'request_id' in aimed.payload ? 'agent' : 'author');
        }
        expect(await rig.findings({ sessionId })).toEqual([]);
      }),
      { numRuns: 25 },
    );
    const { findings, sessions, events } = await rig.verify();
    expect(findings).toBe(0);
    const { rows } = await rig.pool.query(
      'SELECT (SELECT count(*)::int FROM genesis_sessions) AS sessions, count(*)::int AS events FROM domain_events',
    );
    expect({ sessions, events }).toEqual(rows[0]);
  });

  it('finds nothing while commands are being taken', async () => {
    const ids = await Promise.all(Array.from({ length: 10 }, () => rig.session()));
    let running = true;
    const writer = Promise.all(
      ids.map(async (id) => {
        for (let n = 0; running; n += 1) await rig.send(id, n % 2 === 0 ? submitFeedback() : updateSession());
      }),
    );
    for (let round = 0; round < 5; round += 1) expect(await rig.findings()).toEqual([]);
    running = false;
    await writer;
  });

  it('has nothing to say of a session that nobody knows', async () => {
    expect(await codes(UNKNOWN)).toEqual([]);
  });

  const insertPlain = `INSERT INTO genesis_sessions
    (session_id, user_id, status, current_stage, confirmed_data, version, last_event_id, created_at, updated_at)
    VALUES ($1, 'ada', 'IN_PROGRESS', 'CONCEPT_SELECTION', '{}', 1, $1, now(), now())`;

  it('finds a row that no event accounts for, and an event’s row that is gone', async () => {
    await rig.tamper(insertPlain, [UNKNOWN]);
    expect(await rig.findings()).toEqual([
      { code: 'PROJECTION_WITHOUT_EVENTS', sessionId: UNKNOWN, detail: 'the row has version 1' },
    ]);
    await rig.tamper('DELETE FROM genesis_sessions WHERE session_id = $1', [UNKNOWN]);
    const sessionId = await busySession();
    await rig.tamper('DELETE FROM genesis_sessions WHERE session_id = $1', [sessionId]);
    expect(await rig.findings()).toEqual([
      { code: 'PROJECTION_MISSING', sessionId, detail: 'its events reach version 5' },
    ]);
    await rig.rebuild({ sessionId });
  });

  const damages: readonly (readonly [what: string, expected: readonly string[], text: string])[] = [
    [
      'a version that is missing',
      ['HISTORY_DAMAGED', 'INBOX_VERSIONS'],
      'DELETE FROM domain_events WHERE aggregate_id = $1 AND aggregate_version = 3',
    ],
    [
      'the first version missing',
      ['HISTORY_DAMAGED', 'INBOX_VERSIONS'],
      'DELETE FROM domain_events WHERE aggregate_id = $1 AND aggregate_version = 1',
    ],
    [
      'the last version missing',
      ['PROJECTION_DIFFERS', 'INBOX_VERSIONS'],
      'DELETE FROM domain_events WHERE aggregate_id = $1 AND aggregate_version = 5',
    ],
    [
      'a first event that creates nothing',
      ['HISTORY_DAMAGED'],
      `UPDATE domain_events SET event_type = 'Genesis.Session.Finished' WHERE aggregate_id = $1 AND aggregate_version = 1`,
    ],
    [
      'a payload that was changed',
      ['PROJECTION_DIFFERS'],
      `UPDATE domain_events SET payload = '{"title":"Other"}' WHERE aggregate_id = $1 AND aggregate_version = 2`,
    ],
    [
      'an event newer than the program',
      ['EVENT_TOO_NEW'],
      'UPDATE domain_events SET event_version = 99 WHERE aggregate_id = $1 AND aggregate_version = 4',
    ],
    [
      'a command with versions beyond the last',
      ['INBOX_VERSIONS'],
      `UPDATE command_inbox SET last_version = 77 WHERE session_id = $1 AND command_type = 'ConfirmStage'`,
    ],
    [
      'a command with a version before the first',
      ['INBOX_VERSIONS'],
      `UPDATE command_inbox SET first_version = 0 WHERE session_id = $1 AND command_type = 'ConfirmStage'`,
    ],
    [
      'an unfinished command that nothing waits for',
      ['INBOX_UNFINISHED'],
      `UPDATE command_inbox SET status = 'PROCESSING' WHERE session_id = $1 AND command_type = 'RequestConceptGeneration'`,
    ],
    [
      'an outbox row that says something else',
      ['OUTBOX_DIFFERS'],
      `UPDATE event_outbox SET payload = payload || ' ' WHERE key = $1 AND sequence = 2`,
    ],
    [
      'an outbox row with other headers',
      ['OUTBOX_DIFFERS'],
      `UPDATE event_outbox SET headers = '{}' WHERE key = $1 AND sequence = 2`,
    ],
    [
      'an outbox row at another place of its stream',
      ['OUTBOX_MISSING', 'OUTBOX_WITHOUT_EVENT'],
      `UPDATE event_outbox SET sequence = 9 WHERE key = $1 AND sequence = 2`,
    ],
    [
      'an outbox row of another key',
      ['OUTBOX_MISSING'],
      `UPDATE event_outbox SET key = event_id WHERE key = $1 AND sequence = 2`,
    ],
    [
      'a pending outbox row on the wrong shard',
      ['OUTBOX_DIFFERS'],
      `UPDATE event_outbox SET shard = shard + 1 WHERE key = $1 AND sequence = 2`,
    ],
    [
      'a pending outbox row that claims have left behind',
      ['OUTBOX_STUCK'],
      `UPDATE relay_shards SET floor = (SELECT max(id) FROM event_outbox WHERE key = $1)`,
    ],
    [
      'an outbox row that is gone before it was published',
      ['OUTBOX_MISSING'],
      'DELETE FROM event_outbox WHERE key = $1 AND sequence = 3',
    ],
    [
      'an outbox row of no event',
      ['OUTBOX_WITHOUT_EVENT'],
      `INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers) VALUES ('${UNKNOWN}', 't', $1, 0, 9, '', '{}')`,
    ],
  ];

  it.each(damages)('finds %s', async (_, expected, text) => {
    const sessionId = await busySession();
    await rig.tamper(text, [sessionId]);
    const [alone, among] = [
      await codes(sessionId),
      (await rig.findings()).filter((one) => one.sessionId === sessionId),
    ];
    // What is wrong with an event's payload is wrong with its record too.
    const relevant = (found: readonly string[]) =>
      [...new Set(found)].filter((code) => expected.some((e) => e.startsWith('OUTBOX')) || !code.startsWith('OUTBOX'));
    expect(relevant(alone)).toEqual(expected);
    expect(relevant(among.map(({ code }) => code))).toEqual(expected);
    for (const table of [
      'domain_events WHERE aggregate_id',
      'genesis_sessions WHERE session_id',
      'command_inbox WHERE session_id',
      'event_outbox WHERE key',
    ]) {
      await rig.tamper(`DELETE FROM ${table} = $1`, [sessionId]);
    }
    await rig.tamper(
      'DELETE FROM event_outbox AS o WHERE NOT EXISTS (SELECT FROM domain_events AS e WHERE e.event_id = o.event_id)',
      [],
    );
  });

  it('finds a request that waits though its command has ended', async () => {
    const sessionId = await rig.session(requestConcepts());
    await rig.tamper(`UPDATE command_inbox SET status = 'COMPLETED' WHERE session_id = $1`, [sessionId]);
    expect(await codes(sessionId)).toEqual(['INBOX_UNFINISHED']);
    await rig.tamper(
      `UPDATE command_inbox SET status = 'PROCESSING' WHERE session_id = $1 AND command_type = 'RequestConceptGeneration'`,
      [sessionId],
    );
    expect(await codes(sessionId)).toEqual([]);
  });

  describe('of rows that the clean-up may have removed', () => {
    const sent = `UPDATE event_outbox SET status = 'SENT', sent_at = now() WHERE key = $1`;

    it('says nothing once the retention is over', async () => {
      const sessionId = await busySession();
      await rig.tamper(sent, [sessionId]);
      await rig.tamper('DELETE FROM event_outbox WHERE key = $1 AND sequence <= 3', [sessionId]);
      expect(await codes(sessionId, 0)).toEqual([]);
      expect(await codes(sessionId, DAY)).toEqual(['OUTBOX_MISSING', 'OUTBOX_MISSING', 'OUTBOX_MISSING']);
      await rig.tamper('DELETE FROM event_outbox WHERE key = $1', [sessionId]);
      expect(await codes(sessionId, 0)).toEqual([]);
    });

    it('knows, however old it is, that none was published before an earlier one', async () => {
      const sessionId = await busySession();
      await rig.tamper(`${sent} AND sequence <> 2`, [sessionId]);
      await rig.tamper('DELETE FROM event_outbox WHERE key = $1 AND sequence IN (1, 4)', [sessionId]);
      const found = await rig.findings({ sessionId, retention: 0 });
      expect(found).toEqual([
        { code: 'OUTBOX_MISSING', sessionId, detail: 'version 4: version 2 before it is not yet published' },
      ]);
    });

    it('lets a published row be on a shard of another time', async () => {
      const sessionId = await busySession();
      await rig.tamper(sent, [sessionId]);
      await rig.tamper('UPDATE event_outbox SET shard = shard + 100 WHERE key = $1', [sessionId]);
      expect(await codes(sessionId)).toEqual([]);
    });
  });
});
