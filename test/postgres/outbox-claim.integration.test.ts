import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SHARDS, startOutboxRig, type OutboxRig } from './outbox-rig.ts';

let rig: OutboxRig;

beforeAll(async () => {
  rig = await startOutboxRig();
});
afterAll(() => rig.stop());
beforeEach(() => rig.reset());

describe('a claim', () => {
  it('gives PENDING rows, lowest id first, as they were written', async () => {
    const { key, ids } = await rig.session(2);
    const { rows, shards, complete } = await rig.claim();
    expect(rows[0]).toMatchObject({
      id: ids[0],
      topic: 'events',
      key,
      shard: 3,
      sequence: 1,
      payload: '{}',
      retryCount: 0,
      maxRetries: 3,
      held: false,
    });
    expect(Object.keys(rows[0]?.headers ?? {})).toEqual(['b', 'a']);
    expect(Math.abs(Number(rows[0]?.createdAt) - Date.now())).toBeLessThan(60_000);
    expect(rows.map(({ id }) => id)).toEqual(ids);
    expect(shards).toEqual(SHARDS);
    expect(complete).toBe(true);
  });

  it('of nothing says which shards it was about', async () => {
    const { rows, shards, complete } = await rig.claim({ shards: [2, 5] });
    expect({ rows, shards: shards, complete }).toEqual({ rows: [], shards: [2, 5], complete: true });
  });

  it('leaves out what it is told to, and begins at the floor', async () => {
    const [one, two] = [await rig.session(3), await rig.session(2)];
    expect(await rig.claimedIds({ exceptIds: [one.ids[1] ?? 0] })).toEqual([one.ids[0], one.ids[2], ...two.ids]);
    expect(await rig.claimedIds({ exceptSessions: [one.key] })).toEqual(two.ids);
    expect(await rig.claimedIds({ floor: one.ids[2] ?? 0 })).toEqual([one.ids[2], ...two.ids]);
  });

  it('says when its limit cut it', async () => {
    const { ids } = await rig.session(3);
    const claim = await rig.claim({ limit: 2 });
    expect(claim).toMatchObject({ complete: false, rows: [{ id: ids[0] }, { id: ids[1] }] });
    expect(await rig.claim({ limit: 4 })).toMatchObject({ complete: true, rows: { length: 3 } });
  });

  it('is bounded by bytes, but never empty because of them', async () => {
    const { key } = await rig.session(0);
    const large = 'x'.repeat(9 * 1024 * 1024);
    const ids = [await rig.insert(key, 1, large), await rig.insert(key, 2, large), await rig.insert(key, 3, large)];
    const claim = await rig.claim();
    expect(claim.rows.map(({ id }) => id)).toEqual(ids.slice(0, 2));
    expect(claim.complete).toBe(false);
    await rig.publish(claim.rows);
    expect(await rig.claimedIds()).toEqual(ids.slice(2));
  });

  it.each([
    ['belongs to another member', 'owner = 2'],
    ['was given back', 'owner = NULL, expires_at = NULL'],
    ['has a lease that expired', "expires_at = clock_timestamp() - interval '1 ms'"],
    ['is paused', 'paused = true'],
  ])('leaves out a shard that %s, and says so', async (_, change) => {
    await rig.session(2, 3);
    const other = await rig.session(1, 4);
    await rig.run(`UPDATE relay_shards SET ${change} WHERE shard = 3`);
    const claim = await rig.claim({ shards: [3, 4] });
    expect(claim.shards).toEqual([4]);
    expect(claim.rows.map(({ id }) => id)).toEqual(other.ids);
  });

  it('gives nothing while the topic is ahead of the database, and says of no session that it could go on', async () => {
    const { ids } = await rig.session(2, 3);
    await rig.run("UPDATE event_outbox SET status = 'DISCARDED' WHERE id = $1", [ids[0]]);
    await rig.run('UPDATE genesis_settings SET topic_ahead = true');
    try {
      expect(await rig.claim()).toMatchObject({ shards: [], rows: [] });
      expect(await rig.store.nextRetryIn(SHARDS, [])).toBeNull();
    } finally {
      await rig.run('UPDATE genesis_settings SET topic_ahead = false');
    }
    expect(await rig.store.nextRetryIn(SHARDS, [])).toBe(0);
    expect(await rig.claimedIds()).toEqual(ids);
  });

  it('gives no rows of shards that were not asked for', async () => {
    await rig.session(2, 3);
    const other = await rig.session(1, 4);
    expect(await rig.claimedIds({ shards: [4] })).toEqual(other.ids);
  });

  it('waits for no transaction that changes rows or locks the table against writers', async () => {
    const { ids } = await rig.session(2);
    const operator = await rig.connect();
    await operator.query("BEGIN; UPDATE event_outbox SET status = 'DISCARDED'; LOCK TABLE event_outbox IN SHARE MODE");
    try {
      const { rows, horizon } = await rig.claim();
      expect(rows.map(({ id }) => id)).toEqual(ids);
      expect(horizon).toBe((ids[1] ?? 0) + 1);
    } finally {
      await operator.end();
    }
  });
});

describe('a clock that was set back', () => {
  it('hides no row that was not refused', async () => {
    const { ids } = await rig.session(2);
    await rig.run('ALTER TABLE event_outbox DISABLE TRIGGER event_outbox_hold');
    await rig.run("UPDATE event_outbox SET scheduled_at = now() + interval '1 hour' WHERE id = $1", [ids[0]]);
    await rig.run('ALTER TABLE event_outbox ENABLE TRIGGER event_outbox_hold');
    expect(await rig.claimedIds()).toEqual(ids);
  });

  it('keeps no session waiting for a retry until it has caught up', async () => {
    const { key, ids } = await rig.session(2);
    await rig.store.charge({ id: ids[0] ?? 0, shard: 3, error: 'too large' }, { kind: 'retry', delayMs: 1_000 });
    expect(await rig.claimedIds()).toEqual([]);
    // Seen from a clock that is an hour behind, all that was written lies an hour ahead.
    await rig.run('ALTER TABLE event_outbox DISABLE TRIGGER event_outbox_hold');
    await rig.run("UPDATE event_outbox SET scheduled_at = scheduled_at + interval '2 hours' WHERE id = $1", [ids[0]]);
    await rig.run('ALTER TABLE event_outbox ENABLE TRIGGER event_outbox_hold');
    await rig.run(
      "UPDATE event_outbox_holds SET waits_until = waits_until + interval '2 hours', waits_since = waits_since + interval '2 hours' WHERE key = $1",
      [key],
    );
    expect(await rig.store.nextRetryIn(SHARDS, [])).toBe(0);
    expect(await rig.claimedIds()).toEqual(ids);
  });
});
