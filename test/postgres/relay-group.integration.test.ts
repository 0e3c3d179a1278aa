import { describe, expect, test, vi } from 'vitest';
import pg from 'pg';
import { LeaseLost } from '../../src/relay/ports.ts';
import { startPostgresProxy } from '../support/postgres-proxy.ts';
import { ALL_SHARDS, PATIENCE, RelayGroupRig, report, vacantIn } from './relay-group-rig.ts';

const rig = RelayGroupRig.install();

describe('a member', () => {
  test('begins without shards, takes what is vacant, and renews it with each beat', async () => {
    const member = await rig.join();
    const { view, held } = await member.beat([]);
    expect(view.members).toEqual([member.id]);
    expect(view.shards).toEqual(
      ALL_SHARDS.map((shard) => ({ shard, owner: null, vacant: true, epoch: 0, paused: false })),
    );
    expect(held).toEqual([]);
    expect(await member.acquire([2, 5])).toEqual(
      [2, 5].map((shard) => ({ shard, epoch: 1, floor: 1, position: '0', predecessors: [] })),
    );
    const before = await rig.admin.query<{ expires_at: Date }>('SELECT expires_at FROM relay_shards WHERE shard = 2');
    const next = await member.beat([]);
    expect(next.held).toEqual([2, 5]);
    expect(next.view.shards[2]).toEqual({ shard: 2, owner: member.id, vacant: false, epoch: 1, paused: false });
    const after = await rig.admin.query<{ expires_at: Date }>('SELECT expires_at FROM relay_shards WHERE shard = 2');
    expect(after.rows[0]?.expires_at.getTime()).toBeGreaterThan(before.rows[0]?.expires_at.getTime() ?? Infinity);
  });

  test('does not get what another one holds', async () => {
    const [one, other] = [await rig.join(), await rig.join()];
    await one.acquire([0, 1]);
    expect((await other.acquire([1, 2])).map(({ shard }) => shard)).toEqual([2]);
    const { view } = await other.beat([]);
    expect(view.members).toEqual([one.id, other.id]);
    expect(view.shards.slice(0, 3).map(({ owner, vacant }) => ({ owner, vacant }))).toEqual([
      { owner: one.id, vacant: false },
      { owner: one.id, vacant: false },
      { owner: other.id, vacant: false },
    ]);
  });

  test('says what it does, and what it gives back is taken over from there', async () => {
    const [one, other] = [await rig.join(), await rig.join()];
    await one.acquire([3]);
    await one.beat([report(3, { floor: 17, position: '9007199254740993', lastProgressAt: 1_700_000_000_123 })]);
    const told = await rig.stored(3);
    expect(told).toMatchObject({ floor: '17', position: '9007199254740993', state: 'active', last_error: null });
    expect(told?.last_progress_at?.getTime()).toBe(1_700_000_000_123);
    await one.beat([report(3, { floor: 18, position: '8', state: 'unavailable', lastError: 'NOT_LEADER' })]);
    expect(await rig.stored(3)).toMatchObject({
      floor: '18',
      position: '8',
      state: 'unavailable',
      last_error: 'NOT_LEADER',
    });
    expect((await rig.stored(3))?.last_progress_at?.getTime()).toBe(1_700_000_000_123);
    await one.release([report(3, { floor: 20, position: '11', state: 'leaving' })]);
    expect(await rig.stored(3)).toMatchObject({ owner: null, state: 'free', floor: '20', position: '11' });
    expect((await one.beat([])).held).toEqual([]);
    expect(await other.acquire([3])).toEqual([{ shard: 3, epoch: 2, floor: 20, position: '11', predecessors: [] }]);
  });

  test('waits for an operator who is about to pause a shard, and sees it then', async () => {
    const member = await rig.join();
    await member.acquire([0, 1]);
    const operator = new pg.Client({ connectionString: rig.url });
    await operator.connect();
    await operator.query('BEGIN');
    await operator.query('UPDATE relay_shards SET paused = true WHERE shard = 1');
    const beat = member.beat([report(0, { floor: 5 }), report(1, { floor: 6 })]);
    await vi.waitFor(async () => {
      const { rows } = await rig.admin.query('SELECT FROM pg_locks WHERE NOT granted');
      expect(rows).not.toEqual([]);
    }, PATIENCE);
    await operator.query('COMMIT');
    await operator.end();
    const { held, view } = await beat;
    expect(held).toEqual([0, 1]);
    expect(view.shards.map(({ paused }) => paused)).toEqual(ALL_SHARDS.map((shard) => shard === 1));
    expect(await rig.stored(1)).toMatchObject({ floor: '6', owner: member.id });
  });

  test('that leaves is gone for the others at once', async () => {
    const [one, other] = [await rig.join(), await rig.join()];
    await one.acquire([0]);
    await one.leave();
    await vi.waitFor(async () => expect(await vacantIn(other)).toContain(0), PATIENCE);
    expect((await other.beat([])).view.members).toEqual([other.id]);
    expect(one.lost.aborted).toBe(false);
    await expect(one.beat([])).rejects.toThrow(LeaseLost);
    await expect(one.acquire([1])).rejects.toThrow(LeaseLost);
    await expect(one.release([report(0)])).rejects.toThrow(LeaseLost);
    await expect(one.reportTopicAhead(0, '1', 'x')).rejects.toThrow(LeaseLost);
    await expect(one.store.markSent([{ id: 1, partition: 0, offset: '0' }])).rejects.toThrow(LeaseLost);
    await one.leave();
  });

  test('that takes part no more is swept when the next one joins', async () => {
    const silent = await rig.join();
    await rig.expire(silent);
    expect((await silent.beat([])).view.members).toEqual([]);
    expect(await rig.membersInTable()).toEqual([silent.id]);
    const next = await rig.join();
    expect(await rig.membersInTable()).toEqual([next.id]);
  });
});

describe('a member that ends without a word', () => {
  test('is succeeded as soon as its session has ended', async () => {
    const proxy = await startPostgresProxy(rig.url);
    const [crashing, other] = [await rig.join({ url: proxy.url, ttl: 600_000 }), await rig.join()];
    await crashing.acquire([0, 1]);
    await proxy.stop();
    await vi.waitFor(async () => expect(await other.acquire([0, 1])).toHaveLength(2), PATIENCE);
    expect((await other.beat([])).view.members).toEqual([other.id]);
    await vi.waitFor(() => expect(crashing.lost.aborted).toBe(true), PATIENCE);
    await expect(crashing.beat([])).rejects.toThrow(LeaseLost);
  });

  test.each(['genesis-relay', 'genesis-relay-marks', 'genesis-relay-leases'])(
    'is over when it loses its connection %s',
    async (name) => {
      const member = await rig.join();
      await member.acquire([0]);
      await rig.admin.query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()',
        [name],
      );
      await vi.waitFor(() => expect(member.lost.aborted).toBe(true), PATIENCE);
      await expect(member.beat([])).rejects.toThrow(LeaseLost);
      await expect(member.store.markSent([{ id: 1, partition: 0, offset: '0' }])).rejects.toThrow(LeaseLost);
      const next = await rig.join();
      await vi.waitFor(async () => expect(await next.acquire([0])).toHaveLength(1), PATIENCE);
    },
  );

  test('is over when the database says nothing any more', async () => {
    const proxy = await startPostgresProxy(rig.url);
    const member = await rig.join({ url: proxy.url, beatTimeout: 300, heartbeatInterval: 60_000 });
    proxy.silenceLinks();
    await expect(member.beat([])).rejects.toThrow(LeaseLost);
    expect(member.lost.aborted).toBe(true);
    await proxy.stop();
  });
});

describe('a member that was frozen', () => {
  test('is succeeded after its term though its session lives', async () => {
    const [frozen, other] = [await rig.join({ ttl: 2_000 }), await rig.join()];
    await frozen.acquire([0]);
    expect(await other.acquire([0])).toEqual([]);
    await rig.untilExpired(0);
    expect(frozen.lost.aborted).toBe(false);
    expect(await vacantIn(other)).toEqual(ALL_SHARDS);
    expect((await other.beat([])).view.members).toEqual([other.id]);
    expect(await other.acquire([0])).toMatchObject([{ shard: 0, epoch: 2 }]);
  });

  test('gets nothing back, even if nobody has taken it', async () => {
    const frozen = await rig.join();
    await frozen.acquire([0]);
    await rig.expire(frozen);
    const { view, held } = await frozen.beat([report(0, { floor: 99 })]);
    expect(held).toEqual([]);
    expect(view.members).toEqual([]);
    expect(view.shards[0]).toMatchObject({ vacant: true });
    expect(await frozen.acquire([1])).toEqual([]);
    expect(await rig.stored(0)).toMatchObject({ floor: '1', state: 'recovering' });
  });

  test('changes nothing of what its successor says', async () => {
    const [frozen, other] = [await rig.join(), await rig.join()];
    await frozen.acquire([0]);
    await rig.expire(frozen);
    await other.acquire([0]);
    await other.beat([report(0, { floor: 50, position: '60' })]);
    const before = await rig.stored(0);
    await frozen.beat([report(0, { floor: 7, position: '8', state: 'unavailable', lastError: 'old' })]);
    await frozen.release([report(0, { floor: 9, position: '10' })]);
    await expect(frozen.reportTopicAhead(0, '3', 'x')).rejects.toThrow(LeaseLost);
    expect(await rig.stored(0)).toEqual(before);
    expect((await other.beat([])).held).toEqual([0]);
    expect(await rig.topicAhead()).toBe(false);
  });
});

describe('what an earlier stay of the same member says', () => {
  test('counts for nothing in a later epoch', async () => {
    const member = await rig.join();
    await member.acquire([0]);
    await rig.admin.query('UPDATE relay_shards SET epoch = 5, floor = 40, position = 41 WHERE shard = 0');
    expect((await member.beat([report(0, { floor: 3, position: '4' })])).held).toEqual([0]);
    await member.release([report(0, { floor: 3, position: '4' })]);
    expect(await rig.stored(0)).toMatchObject({ owner: member.id, floor: '40', position: '41' });
  });
});

test('a topic that is ahead is told to everybody', async () => {
  const member = await rig.join();
  await member.acquire([4]);
  await member.reportTopicAhead(4, '9007199254740993', '01900000-0000-7000-8000-0000000000aa');
  expect(await rig.stored(4)).toMatchObject({ topic_ahead_at: '9007199254740993', state: 'topic-ahead' });
  expect(await rig.topicAhead()).toBe(true);
});

test('a topic that was ahead when a relay looked, and is not any more, is not told', async () => {
  const member = await rig.join();
  await member.acquire([4]);
  await rig.admin.query(
    `INSERT INTO domain_events
     VALUES (uuidv7(), 'GENESIS_SESSION', uuidv7(), 1, 'Genesis.Session.Created', 1, '{}', '{}', uuidv7(), uuidv7(), now())`,
  );
  const { rows } = await rig.admin.query<{ event_id: string }>('SELECT event_id FROM domain_events');
  await member.reportTopicAhead(4, '7', rows[0]?.event_id ?? '');
  expect(await rig.stored(4)).toMatchObject({ topic_ahead_at: null });
  expect(await rig.topicAhead()).toBe(false);
  // A record of somebody else's, whose id is none of ours.
  await member.reportTopicAhead(4, '8', 'order-17');
  expect(await rig.topicAhead()).toBe(true);
});

test('a statement that the server refuses does not cost the membership', async () => {
  const member = await rig.join();
  await member.acquire([0]);
  await expect(member.beat([report(0, { position: 'no number' })])).rejects.toThrow(/bigint/);
  expect(member.lost.aborted).toBe(false);
  expect((await member.beat([])).held).toEqual([0]);
});
