import { v7 as uuidv7 } from 'uuid';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { Follower, type FollowOptions } from '../../src/operations/follow.ts';
import type { ReconcileStore } from '../../src/operations/ports.ts';
import type { StreamFinding } from '../../src/operations/stream-findings.ts';
import { shardOf } from '../../src/outbox/shard.ts';
import { createReconcileStore } from '../../src/postgres/operations-reconcile.ts';
import { submitFeedback, updateSession } from '../genesis/given.ts';
import { startTopicRig, type TopicRig, type UnsentRow } from './topic-rig.ts';

describe('genesis reconcile --follow', () => {
  let rig: TopicRig;
  let store: ReconcileStore;
  let found: StreamFinding[];
  beforeEach(async () => {
    rig = await startTopicRig(inject('brokers'));
    store = createReconcileStore(rig.pool);
    found = [];
  });
  afterEach(() => rig.stop());

  function follower(options: Partial<FollowOptions> = {}): Follower {
    return new Follower({
      store,
      topic: rig.log,
      partitionOf: (id) => shardOf(id, 8),
      onFinding: (finding) => found.push(finding),
      signal: new AbortController().signal,
      ...options,
    });
  }

  async function begun(options: Partial<FollowOptions> = {}): Promise<Follower> {
    const one = follower(options);
    await one.begin(null);
    return one;
  }

  const codes = () => found.map(({ code, sequence }) => `${code} ${sequence ?? '-'}`);

  /** A session of four events whose records are still to be written. */
  async function unwritten(): Promise<readonly [UnsentRow, UnsentRow, UnsentRow, UnsentRow]> {
    await rig.session(updateSession(), submitFeedback(), submitFeedback('and longer'));
    const [a, b, c, d] = await rig.unsent();
    if (a === undefined || b === undefined || c === undefined || d === undefined) throw new Error('four are wanted');
    return [a, b, c, d];
  }

  async function writeAndMark(rows: readonly UnsentRow[]): Promise<void> {
    const places = new Map((await rig.write(rows)).map((record, index) => [rows[index]?.id ?? 0, record]));
    for (const [id, record] of places) await rig.mark(id, record);
  }

  it('leaves rows of other topics out: their places mean nothing here', async () => {
    const one = await begun({ topicName: rig.kafka.topic });
    const [a, b, c] = await unwritten();
    await rig.tamper(`UPDATE event_outbox SET topic = 'of-old' WHERE sequence < 3`, []);
    await rig.mark(a.id, { partition: a.partition, offset: 0n });
    await rig.mark(b.id, { partition: b.partition, offset: 70n });
    await writeAndMark([c]);
    await one.round();
    expect({ codes: codes(), elsewhere: one.figures.elsewhere }).toEqual({ codes: [], elsewhere: 2 });
  });

  it('checks what is new, round by round, and finds nothing wrong with what a relay does', async () => {
    await rig.session(updateSession());
    await rig.publish();
    const one = await begun();
    await one.round();
    expect(one.figures).toMatchObject({ checked: 0, lag: 0 });
    const id = await rig.session(updateSession());
    await rig.publish();
    await one.round();
    await rig.send(id, submitFeedback());
    const rows = await rig.unsent();
    const [record] = await rig.write(rows);
    await one.round();
    await rig.mark(rows[0]?.id ?? 0, record ?? { partition: 0, offset: 0n });
    await one.round();
    expect(one.figures).toMatchObject({ checked: 3, lag: 0, lastRoundAt: expect.any(Number) });
    expect(found).toEqual([]);
  });

  it('begins where a full look has ended, and misses nothing between', async () => {
    const rows = await unwritten();
    const start = {
      after: await store.lastSettled(),
      ends: new Map((await rig.log.ranges()).map(({ partition, end }) => [partition, end])),
    };
    await writeAndMark(rows.slice(0, 3));
    await rig.mark(rows[3].id, { partition: rows[3].partition, offset: 1n });
    const one = follower();
    await one.begin(start);
    await one.round();
    expect(one.figures.checked).toBe(3);
    expect(codes()).toEqual(['LOST 4']);
  });

  it('finds a row whose record is not where it says, also long after the record was read', async () => {
    const [a, b, c, d] = await unwritten();
    const one = await begun();
    await writeAndMark([a, b, c]);
    await one.round();
    await rig.mark(d.id, { partition: d.partition, offset: 1n });
    await one.round();
    await one.round();
    expect(codes()).toEqual(['LOST 4']);
    expect(one.figures.findings.LOST).toBe(1);
  });

  it('waits for the record of a row that names a place which is not read yet', async () => {
    const [a, b] = await unwritten();
    let hide = true;
    const late = {
      ranges: async () => (await rig.log.ranges()).map((range) => (hide ? { ...range, end: 0n } : range)),
      read: rig.log.read.bind(rig.log),
    };
    const one = await begun({ topic: late });
    await writeAndMark([a, b]);
    await one.round();
    expect([one.figures.checked, codes()]).toEqual([0, []]);
    hide = false;
    await one.round();
    expect([one.figures.checked, codes()]).toEqual([2, []]);
  });

  it('finds a repetition, once, and takes it for nothing else', async () => {
    const rows = await unwritten();
    const one = await begun();
    await writeAndMark([...rows.slice(0, 2), ...rows]);
    await one.round();
    await one.round();
    expect(codes()).toEqual(['DUPLICATED 1', 'DUPLICATED 2']);
  });

  it('knows a repetition of what came before it began, by what lies shortly before', async () => {
    const [a, b] = await unwritten();
    await writeAndMark([a, b]);
    const one = await begun();
    await rig.write([b]);
    await one.round();
    expect(codes()).toEqual(['DUPLICATED 2']);
  });

  /** One that remembers no session when it begins. */
  async function forgetful(): Promise<Follower> {
    let reads = false;
    const one = await begun({
      topic: {
        ranges: () => rig.log.ranges(),
        async *read(...place) {
          if (reads) yield* rig.log.read(...place);
        },
      },
    });
    reads = true;
    return one;
  }

  it('knows a repetition by its row, where it remembers nothing of the session', async () => {
    const [a, b, c, d] = await unwritten();
    await writeAndMark([a, b]);
    const one = await forgetful();
    await rig.write([b]);
    await writeAndMark([c, d]);
    await one.round();
    expect(codes()).toEqual(['DUPLICATED 2']);
  });

  it('knows by the row of the event before that something was overtaken, where it remembers nothing of the session', async () => {
    const [a, b, c, d] = await unwritten();
    await writeAndMark([a]);
    const one = await forgetful();
    await writeAndMark([c, b, d]);
    await one.round();
    expect(codes()).toEqual(['REORDERED 3']);
  });

  it('finds what stands before an earlier event, once', async () => {
    const [a, b, c, d] = await unwritten();
    const one = await begun();
    await writeAndMark([a, c, b, d]);
    await one.round();
    expect(codes()).toEqual(['REORDERED 3']);
  });

  it('finds foreign and altered records, wrong places and wrong predecessors', async () => {
    const [a, b, c, d] = await unwritten();
    const one = await begun();
    const { previous: _, ...headers } = c.headers;
    await writeAndMark([
      a,
      { ...b, value: `${b.value} ` },
      { ...c, headers },
      { ...d, partition: (d.partition + 1) % 8 },
    ]);
    await rig.write([
      { ...d, headers: { ...d.headers, sequence: '9' } },
      { ...d, headers: { ...d.headers, ce_id: uuidv7() } },
      { key: 'hello', partition: 2, value: 'world', headers: {} },
    ]);
    await one.round();
    expect(codes().toSorted()).toEqual([
      'ALTERED 2',
      'FOREIGN -',
      'FOREIGN 4',
      'FOREIGN 9',
      'MISPLACED 4',
      'PREVIOUS 3',
    ]);
  });

  it('takes a marker for the record of its event, if that was discarded', async () => {
    const [a, b, c] = await unwritten();
    const one = await begun();
    const marker = (row: UnsentRow) => ({ ...row, value: null, headers: { ...row.headers, discarded: 'true' } });
    await rig.pool.query(`UPDATE event_outbox SET status = 'DISCARDED' WHERE id = $1`, [b.id]);
    await rig.write([a, marker(b), marker(c)]);
    await one.round();
    expect(codes()).toEqual(['ALTERED 3']);
  });

  it('finds that a transaction which commits late was lost, though later ids were looked at before', async () => {
    const one = await begun();
    const client = await rig.pool.connect();
    await client.query('BEGIN');
    await client.query(
      `INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers) VALUES ($1, 't', $2, 0, 1, '{}', '{}')`,
      [uuidv7(), uuidv7()],
    );
    await rig.session();
    const [record] = await rig.publish();
    await one.round();
    await one.round();
    await client.query(
      `UPDATE event_outbox SET status = 'SENT', sent_at = now(), partition = $1, "offset" = 0 WHERE topic = 't'`,
      [record?.partition],
    );
    await client.query('COMMIT');
    client.release();
    await one.round();
    expect(codes()).toEqual(['LOST 1']);
  });

  it('goes on after an outage, and checks each record once', async () => {
    let away = false;
    const flaky: ReconcileStore = {
      ...store,
      eventsAt: (places) => (away ? Promise.reject(new Error('away')) : store.eventsAt(places)),
    };
    const one = await begun({ store: flaky });
    await rig.session(updateSession());
    await rig.publish();
    away = true;
    await expect(one.round()).rejects.toThrow('away');
    expect(one.figures).toMatchObject({ checked: 0, lag: 2 });
    away = false;
    await rig.session();
    await rig.publish();
    await one.round();
    expect(one.figures).toMatchObject({ checked: 3, lag: 0 });
    expect(found).toEqual([]);
  });

  it('tells when the topic ends before what it had read', async () => {
    await rig.session(updateSession());
    const [record] = await rig.publish();
    let cut = false;
    const one = await begun({
      topic: {
        ranges: async () => (await rig.log.ranges()).map((range) => (cut ? { ...range, end: 0n } : range)),
        read: rig.log.read.bind(rig.log),
      },
    });
    cut = true;
    await one.round();
    await one.round();
    expect(found).toMatchObject([{ code: 'LOST', partition: record?.partition, sessionId: null }]);
  });
});
