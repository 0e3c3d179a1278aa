import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { v7 as uuidv7 } from 'uuid';
import { afterEach, beforeEach, describe, expect, inject, it, onTestFinished } from 'vitest';
import type { SessionId } from '../../src/genesis/ids.ts';
import type { TopicLog } from '../../src/operations/ports.ts';
import { reconcile, type ReconcileOptions, type ReconcileResult } from '../../src/operations/reconcile.ts';
import type { StreamFinding } from '../../src/operations/stream-findings.ts';
import { createReconcileStore } from '../../src/postgres/operations-reconcile.ts';
import { shardOf } from '../../src/outbox/shard.ts';
import { submitFeedback, updateSession } from '../genesis/given.ts';
import { startTopicRig, type TopicRig, type UnsentRow } from './topic-rig.ts';

describe('genesis reconcile', () => {
  let rig: TopicRig;
  beforeEach(async () => {
    rig = await startTopicRig(inject('brokers'));
  });
  afterEach(() => rig.stop());

  type Result = ReconcileResult & { readonly found: readonly StreamFinding[] };

  async function run(options: Partial<ReconcileOptions> = {}): Promise<Result> {
    const found: StreamFinding[] = [];
    const result = await reconcile({
      store: createReconcileStore(rig.pool),
      topic: rig.log,
      only: null,
      partitionOf: (id) => shardOf(id, 8),
      onFinding: (finding) => found.push(finding),
      onProgress: () => undefined,
      ...options,
    });
    return { ...result, found };
  }

  /** What was found, in short. */
  const codes = async (options?: Partial<ReconcileOptions>) =>
    (await run(options)).found.map(({ code, sequence }) => `${code} ${sequence ?? '-'}`);

  const clean = { found: [], pending: 0, unmarked: 0, markers: 0 };

  /** A session of four events whose records are still to be written. */
  async function unwritten(): Promise<{ readonly id: SessionId; readonly rows: readonly UnsentRow[] }> {
    const id = await rig.session(updateSession(), submitFeedback(), submitFeedback('and longer'));
    return { id, rows: await rig.unsent() };
  }

  /** Writes rows in this order, marks each where it was written last. */
  async function writeAndMark(rows: readonly UnsentRow[]): Promise<void> {
    const places = new Map((await rig.write(rows)).map((record, index) => [rows[index]?.id ?? 0, record]));
    for (const [id, record] of places) await rig.mark(id, record);
  }

  /** A row that must be there: no test is about its absence. */
  function at(rows: readonly UnsentRow[], index: number): UnsentRow {
    const row = rows[index];
    if (row === undefined) throw new Error('no such row');
    return row;
  }

  it('agrees with what a relay has written', async () => {
    for (let n = 0; n < 5; n += 1) await rig.session(updateSession(), submitFeedback());
    await rig.publish();
    expect(await run()).toMatchObject({ ...clean, events: 15, published: 15, records: 15 });
  });

  it('agrees with an empty topic beside an empty database', async () => {
    expect(await run()).toMatchObject({ ...clean, events: 0, records: 0 });
  });

  it('takes what is not yet published for pending, and what is not yet marked for published', async () => {
    await rig.session(updateSession());
    await rig.write(await rig.unsent());
    await rig.session(updateSession(), submitFeedback());
    expect(await run()).toMatchObject({ found: [], events: 5, published: 2, unmarked: 2, pending: 3 });
  });

  it('counts what is written while it reads as pending, never as lost', async () => {
    await rig.session(updateSession());
    await rig.publish();
    const meanwhile: TopicLog = {
      async ranges(signal) {
        const ends = await rig.log.ranges(signal);
        await rig.session(updateSession());
        await rig.publish();
        return ends;
      },
      read: (...place) => rig.log.read(...place),
    };
    expect(await run({ topic: meanwhile })).toMatchObject({ found: [], events: 4, published: 2, pending: 2 });
  });

  it('finds an event that counts as published and is not there', async () => {
    const { rows } = await unwritten();
    await writeAndMark(rows.slice(0, 3));
    const [last] = await rig.write([{ ...at(rows, 0) }]);
    await rig.mark(at(rows, 3).id, { partition: at(rows, 3).partition, offset: (last?.offset ?? 0n) - 1n });
    const { found } = await run();
    expect(found).toContainEqual(
      expect.objectContaining({
        code: 'LOST',
        eventId: at(rows, 3).eventId,
        sequence: 4,
        partition: at(rows, 3).partition,
      }),
    );
  });

  it('finds an event that is not there though its row was cleaned up', async () => {
    const { rows } = await unwritten();
    await writeAndMark(rows.slice(0, 3));
    await rig.mark(at(rows, 3).id, { partition: 0, offset: 0n });
    await rig.tamper('DELETE FROM event_outbox', []);
    expect(await codes()).toEqual(['LOST 4']);
  });

  it('agrees when all rows were cleaned up', async () => {
    const { rows } = await unwritten();
    await writeAndMark(rows);
    await rig.tamper('DELETE FROM event_outbox', []);
    expect(await run()).toMatchObject({ ...clean, events: 4, published: 4 });
  });

  it('finds an event that a later one has overtaken', async () => {
    const { rows } = await unwritten();
    await writeAndMark([at(rows, 0), at(rows, 3)]);
    const { found, pending } = await run();
    expect(found).toMatchObject([
      { code: 'GAP', sequence: 2, detail: 'version 4 is in the topic, this and 1 more is not' },
    ]);
    expect(pending).toBe(0);
  });

  it('finds a repetition, by its offset', async () => {
    const { rows } = await unwritten();
    await writeAndMark(rows);
    const [again] = await rig.write([at(rows, 1)]);
    const { found } = await run();
    expect(found).toEqual([
      expect.objectContaining({ code: 'DUPLICATED', offset: again?.offset, sequence: 2, eventId: at(rows, 1).eventId }),
    ]);
  });

  it('finds other bytes, also in a repetition', async () => {
    const { rows } = await unwritten();
    await writeAndMark(rows);
    const altered = { ...at(rows, 1), value: at(rows, 1).value?.replace('"New"', '"Old"') ?? null };
    await rig.write([altered, { ...at(rows, 2), value: null }]);
    expect(await codes()).toEqual(['ALTERED 2', 'ALTERED 3']);
  });

  it('finds an event that stands before an earlier one', async () => {
    const { rows } = await unwritten();
    await writeAndMark([at(rows, 0), at(rows, 2), at(rows, 1), at(rows, 3)]);
    const { found } = await run();
    expect(found).toMatchObject([{ code: 'REORDERED', sequence: 3, offset: 1n }]);
  });

  it('takes a batch that was sent twice for repeated, not for out of order', async () => {
    const { rows } = await unwritten();
    await writeAndMark([...rows, ...rows]);
    expect(await codes()).toEqual(['DUPLICATED 1', 'DUPLICATED 2', 'DUPLICATED 3', 'DUPLICATED 4']);
  });

  it('finds records that belong to no event: at no place, at another event’s place, and none at all', async () => {
    const { rows } = await unwritten();
    await writeAndMark(rows);
    const one = at(rows, 3);
    await rig.write([
      { ...one, headers: { ...one.headers, sequence: '5' } },
      { ...one, headers: { ...one.headers, ce_id: uuidv7() } },
      { ...one, key: uuidv7(), partition: 3 },
      { key: 'hello', partition: 2, value: 'world', headers: {} },
    ]);
    expect((await codes()).toSorted()).toEqual(['FOREIGN -', 'FOREIGN 4', 'FOREIGN 4', 'FOREIGN 5']);
  });

  it('finds a record in another partition than its key’s', async () => {
    const { rows } = await unwritten();
    const elsewhere = { ...at(rows, 3), partition: (at(rows, 3).partition + 1) % 8 };
    await writeAndMark([...rows.slice(0, 3), elsewhere]);
    expect(await codes()).toEqual(['MISPLACED 4']);
  });

  it('finds a wrong `previous`', async () => {
    const { rows } = await unwritten();
    const { previous: _, ...headers } = at(rows, 1).headers;
    const wrong = { ...at(rows, 2), headers: { ...at(rows, 2).headers, previous: uuidv7() } };
    await writeAndMark([at(rows, 0), { ...at(rows, 1), headers }, wrong, at(rows, 3)]);
    expect(await codes()).toEqual(['PREVIOUS 2', 'PREVIOUS 3']);
  });

  it('finds a row that names another event’s place', async () => {
    const { rows } = await unwritten();
    await writeAndMark(rows);
    await rig.tamper('UPDATE event_outbox SET "offset" = 0 WHERE id = $1', [at(rows, 2).id]);
    expect(await codes()).toEqual(['MISMARKED 3']);
  });

  it('counts a marker as the record of its discarded event, and of no other', async () => {
    const { rows } = await unwritten();
    const marker = (row: UnsentRow) => ({ ...row, value: null, headers: { ...row.headers, discarded: 'true' } });
    await rig.pool.query(`UPDATE event_outbox SET status = 'DISCARDED' WHERE id = $1`, [at(rows, 1).id]);
    const written = await rig.write([at(rows, 0), marker(at(rows, 1)), at(rows, 2), marker(at(rows, 3))]);
    for (const index of [0, 2, 3]) await rig.mark(at(rows, index).id, written[index] ?? { partition: 0, offset: 0n });
    const { found, markers } = await run();
    expect(found).toMatchObject([{ code: 'ALTERED', sequence: 4 }]);
    expect(markers).toBe(2);
  });

  it('takes an event for settled that was discarded before there were markers', async () => {
    const { rows } = await unwritten();
    await rig.pool.query(`UPDATE event_outbox SET status = 'DISCARDED', sent_at = now() WHERE id = $1`, [
      at(rows, 1).id,
    ]);
    await writeAndMark([at(rows, 0), at(rows, 2), at(rows, 3)]);
    expect(await codes()).toEqual([]);
  });

  it('finds the same when nothing fits into memory, and leaves no file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'reconcile-test-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    for (let n = 0; n < 6; n += 1) await rig.session(updateSession(), submitFeedback());
    const rows = await rig.unsent();
    await writeAndMark([...rows.slice(0, 7), at(rows, 2), ...rows.slice(7)]);
    const sorted: string[] = [];
    const spilling = { sorter: { runLength: 4, folder }, onProgress: () => undefined };
    const { found, records, published } = await run({
      ...spilling,
      onFinding: (finding) => sorted.push(finding.code),
    });
    expect({ found, records, published, sorted }).toEqual({
      found: [],
      records: 19,
      published: 18,
      sorted: ['DUPLICATED'],
    });
    expect(await readdir(folder)).toEqual([]);
    const ended = new AbortController();
    const interrupted = run({
      ...spilling,
      signal: ended.signal,
      onProgress: ({ stage }) => stage === 'tables' && ended.abort(new Error('enough')),
    });
    await expect(interrupted).rejects.toThrow('enough');
    expect(await readdir(folder)).toEqual([]);
  });

  it('leaves rows of other topics out, and counts them apart', async () => {
    const { id, rows } = await unwritten();
    // Published to another topic, and marked with places there; the session has gone on here since.
    for (const row of rows) await rig.mark(row.id, { partition: row.partition, offset: 0n });
    await rig.tamper(`UPDATE event_outbox SET topic = 'of-old' WHERE key = $1`, [id]);
    const other = await unwritten();
    await rig.tamper(`UPDATE event_outbox SET topic = 'of-old' WHERE key = $1 AND sequence > 2`, [other.id]);
    await writeAndMark(other.rows.slice(0, 2));
    await rig.write(other.rows.slice(2));
    await rig.mark(at(other.rows, 3).id, { partition: at(other.rows, 3).partition, offset: 0n });
    expect(await run({ topicName: rig.kafka.topic })).toMatchObject({
      ...clean,
      events: 8,
      published: 4,
      elsewhere: 6,
    });
    expect(await codes()).toContain('MISMARKED 4');
  });

  it('looks at one partition from an offset on, if asked to', async () => {
    const { rows } = await unwritten();
    await writeAndMark(rows);
    const other = await unwritten();
    await writeAndMark(other.rows);
    await rig.write([at(rows, 1), at(other.rows, 1)]);
    const { partition } = at(rows, 0);
    expect(await codes({ only: new Map([[partition, 0n]]) })).toContain('DUPLICATED 2');
    const tail = await run({ only: new Map([[partition, 2n]]) });
    expect(tail.found.map(({ code }) => code)).not.toContain('LOST');
    await expect(run({ only: new Map([[8, 0n]]) })).rejects.toThrow('the topic has 8 partitions, there is no 8');
  });
});
