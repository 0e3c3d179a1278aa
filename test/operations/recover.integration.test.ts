import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { rebuild } from '../../src/events/rebuild.ts';
import type { CommandId, SessionId } from '../../src/genesis/ids.ts';
import type { RecoverProblem } from '../../src/operations/recover-problems.ts';
import { recover, type RecoverOptions, type RecoverResult } from '../../src/operations/recover.ts';
import { createRecoverStore } from '../../src/postgres/operations-recover.ts';
import { createQueries } from '../../src/postgres/queries.ts';
import { createRead } from '../../src/postgres/read.ts';
import {
  abandonSession,
  confirmStage,
  failGeneration,
  proposeConcepts,
  requestConcepts,
  submitFeedback,
  updateSession,
} from '../genesis/given.ts';
import { accepted } from '../support/commands.ts';
import { startTopicRig, type TopicRig } from './topic-rig.ts';

const EVENTS = ['*', 'domain_events', 'aggregate_id, aggregate_version'] as const;
const SESSIONS = ['*', 'genesis_sessions', 'session_id'] as const;
const OUTBOX = [
  'event_id, topic, key, shard, sequence, payload, headers, status, retry_count, max_retries, created_at, partition, "offset"',
  'event_outbox',
  'key, sequence',
] as const;

describe('genesis recover', () => {
  let rig: TopicRig;
  beforeEach(async () => {
    rig = await startTopicRig(inject('brokers'));
  });
  afterEach(() => rig.stop());

  const store = () => createRecoverStore(rig.pool, { topic: rig.kafka.topic, shards: 8, generationTimeout: 600_000 });

  type Run = RecoverResult & { readonly told: readonly RecoverProblem[] };

  /** Imports and rebuilds, as the command does; settles when nothing is left. */
  async function run(options: Partial<RecoverOptions> = {}): Promise<Run> {
    const told: RecoverProblem[] = [];
    const result = await recover({
      store: store(),
      topic: rig.log,
      from: new Map(),
      dryRun: false,
      onProblem: (problem) => told.push(problem),
      onProgress: () => undefined,
      ...options,
    });
    if (options.dryRun !== true) {
      const nothing = () => undefined;
      const rest = { onRebuilt: nothing, onProblem: nothing, onProgress: nothing };
      await rebuild({ store: rig.store, sessionId: null, after: null, dryRun: false, ...rest });
      if (result.problems === 0) await store().settle(result.partitions);
    }
    return { ...result, told: told };
  }

  const tables = () => Promise.all([rig.rowsOf(...EVENTS), rig.rowsOf(...SESSIONS), rig.rowsOf(...OUTBOX)]);

  async function ahead(): Promise<boolean> {
    return store().isAhead();
  }

  async function outstanding(id: SessionId): Promise<CommandId> {
    const row = (await rig.row(id)) as { readonly outstanding_request: CommandId };
    return row.outstanding_request;
  }

  const agent = (id: SessionId, command: Parameters<TopicRig['send']>[1]) => rig.send(id, command, 'agent');

  it('brings back every row that events tell of, byte by byte, and leaves verify green', async () => {
    const before = await rig.session(updateSession({ title: '星海 "quoted" \\ { } ,"metadata":{' }));
    await rig.publish();
    await rig.backup();
    await rig.send(before, submitFeedback('"payload":{"a":1}'));
    const [answered, failed, superseded, finished] = [
      await rig.session(requestConcepts()),
      await rig.session(requestConcepts()),
      await rig.session(requestConcepts()),
      await rig.session(confirmStage('CONCEPT_SELECTION', { metadata: { payload: '}' } })),
    ];
    await agent(answered, proposeConcepts(await outstanding(answered)));
    await agent(failed, failGeneration('no idea', await outstanding(failed)));
    await rig.send(superseded, abandonSession('enough'));
    for (const stage of ['STORY_CONCEPTION', 'WORLDVIEW', 'CHARACTERS', 'PLOT_OUTLINE'] as const)
      await rig.send(finished, confirmStage(stage));
    await rig.publish();
    const expected = await tables();
    await rig.restore();
    expect(await tables()).not.toEqual(expected);
    expect(await run()).toMatchObject({ problems: 0, strangers: 0, imported: 18 });
    expect(await tables()).toEqual(expected);
    expect(await rig.findings()).toEqual([]);
    expect(await ahead()).toBe(false);
    expect(await run()).toMatchObject({ imported: 0 });
    expect(await tables()).toEqual(expected);
  });

  it('restores the commands that events name, with their end', async () => {
    await rig.backup();
    const id = await rig.session(requestConcepts());
    await agent(id, proposeConcepts(await outstanding(id)));
    await rig.send(id, requestConcepts());
    await agent(id, failGeneration('no idea', await outstanding(id)));
    await rig.send(id, requestConcepts());
    await rig.send(id, confirmStage('CONCEPT_SELECTION'));
    await rig.publish();
    const query = { sessionId: id, status: null, commandType: null, before: null, limit: 50 };
    const queries = createQueries(createRead(rig.pool, 5_000));
    const named = (await queries.listCommands(query)).filter(
      ({ commandType }) => commandType !== 'ProposeConcepts' && commandType !== 'FailConceptGeneration',
    );
    await rig.restore();
    await run();
    const found = await queries.listCommands(query);
    // The event that ended the request belongs to the command that superseded it, and does not say so.
    const comparable = (commands: typeof found) =>
      commands.map(({ events, ...rest }) => ({ ...rest, events: rest.commandType === 'ConfirmStage' ? [] : events }));
    const strip = (commands: typeof found) =>
      comparable(commands).map(({ events, ...rest }) => ({ ...rest, events: events.map(({ eventId }) => eventId) }));
    expect(strip(found)).toEqual(strip(named));
  });

  it('leaves a request that nobody answered to be answered, with its whole time', async () => {
    await rig.backup();
    const id = await rig.session(requestConcepts());
    const request = await outstanding(id);
    await rig.publish();
    await rig.restore();
    await run();
    expect(await rig.findings()).toEqual([]);
    const { rows } = await rig.pool.query<{ left: number }>(
      `SELECT extract(epoch FROM deadline - clock_timestamp())::float8 AS left FROM command_inbox WHERE id = $1 AND status = 'PROCESSING'`,
      [request],
    );
    expect(rows[0]?.left).toBeGreaterThan(590);
    expect(rows[0]?.left).toBeLessThanOrEqual(600);
    accepted(await agent(id, proposeConcepts(request)));
    expect(await rig.findings()).toEqual([]);
  });

  it('ends a request that was open in the backup, and opens the next', async () => {
    const id = await rig.session(requestConcepts());
    const first = await outstanding(id);
    await rig.publish();
    await rig.backup();
    await agent(id, proposeConcepts(first));
    await rig.send(id, requestConcepts());
    const second = await outstanding(id);
    await rig.publish();
    await rig.restore();
    await run();
    expect(await rig.findings()).toEqual([]);
    const { rows } = await rig.pool.query<{ id: string; status: string }>(
      `SELECT id, status FROM command_inbox WHERE command_type = 'RequestConceptGeneration' ORDER BY id`,
    );
    expect(rows).toEqual([
      { id: first, status: 'COMPLETED' },
      { id: second, status: 'PROCESSING' },
    ]);
  });

  it('marks what the backup did not know to be published', async () => {
    const id = await rig.session(updateSession(), submitFeedback(), submitFeedback());
    const rows = await rig.unsent();
    await rig.pool.query(`UPDATE event_outbox SET status = 'FAILED', last_error = 'x' WHERE id = $1`, [rows[2]?.id]);
    await rig.backup();
    await rig.pool.query(`UPDATE event_outbox SET status = 'DISCARDED' WHERE id = $1`, [rows[2]?.id]);
    const marker = rows.map((row, index) =>
      index === 2 ? { ...row, value: null, headers: { ...row.headers, discarded: 'true' } } : row,
    );
    const written = await rig.write(marker);
    await rig.restore();
    expect(await run()).toMatchObject({ imported: 0, problems: 0 });
    const { rows: marked } = await rig.pool.query<{ status: string; offset: string; sent: boolean }>(
      `SELECT status, "offset", sent_at IS NOT NULL AS sent FROM event_outbox WHERE key = $1 ORDER BY sequence`,
      [id],
    );
    expect(marked).toEqual(
      ['SENT', 'SENT', 'DISCARDED', 'SENT'].map((status, index) => ({
        status,
        offset: String(written[index]?.offset),
        sent: true,
      })),
    );
  });

  it('writes nothing on a dry run, and counts a repeated record once', async () => {
    const id = await rig.session();
    await rig.publish();
    await rig.backup();
    await rig.send(id, updateSession());
    await rig.session(updateSession());
    const rows = await rig.unsent();
    await rig.publish();
    await rig.write(rows);
    await rig.restore();
    const before = await tables();
    expect(await run({ dryRun: true })).toMatchObject({ imported: 3, problems: 0 });
    expect(await tables()).toEqual(before);
    expect(await ahead()).toBe(false);
    expect(await run()).toMatchObject({ imported: 3, problems: 0 });
    expect(await rig.findings()).toEqual([]);
  });

  it('refuses commands from the first imported event on, until it is done', async () => {
    await rig.backup();
    await rig.session();
    await rig.publish();
    await rig.restore();
    await recover({
      store: store(),
      topic: rig.log,
      from: new Map(),
      dryRun: false,
      onProblem: () => undefined,
      onProgress: () => undefined,
    });
    expect(await ahead()).toBe(true);
    await expect(rig.session()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await run();
    await rig.session();
  });

  it('tells the relays that the partitions are known, and that the topic is no longer ahead', async () => {
    await rig.backup();
    const id = await rig.session();
    const [record] = await rig.publish();
    await rig.restore();
    await rig.pool.query('UPDATE genesis_settings SET topic_ahead = true');
    await rig.pool.query('UPDATE relay_shards SET topic_ahead_at = 0 WHERE shard = $1', [record?.partition]);
    expect(await ahead()).toBe(true);
    await run();
    const { rows } = await rig.pool.query<{ shard: number; position: string; topic_ahead_at: string | null }>(
      'SELECT shard, position, topic_ahead_at FROM relay_shards ORDER BY shard',
    );
    expect(rows).toEqual(
      rows.map(({ shard }) => ({ shard, position: shard === record?.partition ? '1' : '0', topic_ahead_at: null })),
    );
    expect((await rig.row(id)) as object).toMatchObject({ version: 1 });
  });

  it('imports nothing of a session that went on otherwise after the restore, and everything of the others', async () => {
    const id = await rig.session();
    await rig.publish();
    await rig.backup();
    await rig.send(id, updateSession({ title: 'published' }));
    await rig.send(id, submitFeedback());
    const other = await rig.session(updateSession());
    await rig.publish();
    await rig.restore();
    await rig.send(id, updateSession({ title: 'accepted after the restore' }));
    const before = await rig.row(id);
    const { told, imported } = await run();
    expect(told).toMatchObject([{ code: 'CONFLICT', sessionId: id, sequence: 2 }]);
    expect(imported).toBe(2);
    expect(await rig.row(id)).toEqual(before);
    expect(await rig.row(other)).toMatchObject({ version: 2 });
    expect(await ahead()).toBe(true);
    expect(await rig.findings()).toEqual([]);
    expect((await run()).told).toHaveLength(1);
  });

  it('tells what it cannot read, and what was discarded, and leaves those sessions as they were', async () => {
    const ids = [await rig.session(), await rig.session(), await rig.session()];
    await rig.publish();
    await rig.backup();
    for (const id of ids) await rig.send(id, updateSession());
    for (const id of ids) await rig.send(id, submitFeedback());
    const rows = await rig.unsent();
    const of = (id: SessionId | undefined, sequence: number) => {
      const row = rows.find((one) => one.key === id && one.sequence === sequence);
      if (row === undefined) throw new Error('no such row');
      return row;
    };
    const [marked, unreadable, gap] = ids;
    await rig.write([
      { ...of(marked, 2), value: null, headers: { ...of(marked, 2).headers, discarded: 'true' } },
      of(marked, 3),
      { ...of(unreadable, 2), value: ` ${of(unreadable, 2).value}` },
      of(unreadable, 3),
      of(gap, 3),
      { key: 'hello', partition: 0, value: 'world', headers: {} },
    ]);
    await rig.restore();
    const { told, strangers } = await run();
    const found = told.map(({ code, sessionId, sequence }) => ({ code, sessionId, sequence }));
    expect(found).toHaveLength(3);
    expect(found).toContainEqual({ code: 'MARKER', sessionId: marked, sequence: 2 });
    expect(found).toContainEqual({ code: 'UNREADABLE', sessionId: unreadable, sequence: 2 });
    expect(found).toContainEqual({ code: 'GAP', sessionId: gap, sequence: 3 });
    expect(strangers).toBe(1);
    for (const id of ids) expect(await rig.row(id)).toMatchObject({ version: 1 });
  });

  it('goes on where it was ended, in steps that are whole', async () => {
    await rig.backup();
    for (let n = 0; n < 3; n += 1) await rig.session(updateSession(), submitFeedback());
    await rig.publish();
    const expected = await tables();
    await rig.restore();
    const ended = new AbortController();
    const run1 = run({ signal: ended.signal, onProgress: () => ended.abort(new Error('enough')) });
    await expect(run1).rejects.toThrow('enough');
    expect((await rig.rowsOf(...EVENTS)).length).toBeLessThan(9);
    await run();
    expect(await tables()).toEqual(expected);
  });

  it('begins where it is told to', async () => {
    const id = await rig.session(updateSession());
    const [, second] = await rig.publish();
    await rig.backup();
    await rig.send(id, submitFeedback());
    await rig.publish();
    await rig.restore();
    const from = new Map([[second?.partition ?? 0, (second?.offset ?? 0n) + 1n]]);
    expect(await run({ from })).toMatchObject({ imported: 1, records: 1, problems: 0 });
  });
});
