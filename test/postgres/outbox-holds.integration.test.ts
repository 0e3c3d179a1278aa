import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SessionId } from '../../src/genesis/ids.ts';
import type { AfterRefusal } from '../../src/relay/ports.ts';
import { afterRefusal } from '../../src/relay/retry-policy.ts';
import { SHARDS, startOutboxRig, type OutboxRig } from './outbox-rig.ts';

let rig: OutboxRig;

beforeAll(async () => {
  rig = await startOutboxRig();
});
afterAll(() => rig.stop());
beforeEach(() => rig.reset());

const SOON: AfterRefusal = { kind: 'retry', delayMs: 60_000 };
const charge = (id: number | undefined, next: AfterRefusal, shard = 3) =>
  rig.store.charge({ id: id ?? 0, shard, error: 'too large' }, next);
/** The retry that is due next is due now. */
const letTimePass = () =>
  rig.run("UPDATE event_outbox SET scheduled_at = now() - interval '1 ms' WHERE sent_at IS NULL AND retry_count > 0");

async function sequences(): Promise<string> {
  const { rows } = await rig.claim();
  return rows
    .map(({ sequence, held, payload }) => `${sequence}${held ? 'h' : ''}${payload === null ? 'm' : ''}`)
    .join();
}

/** Claims and publishes until nothing is left; what was claimed of each, in order. */
async function drain(): Promise<string> {
  const seen: string[] = [];
  for (let claim = await sequences(); claim !== ''; claim = await sequences()) {
    seen.push(claim);
    await rig.publish((await rig.claim()).rows);
  }
  return seen.join(' | ');
}

describe('a session on hold', () => {
  it('waits for the retry of a row, and no other session with it', async () => {
    const [one, two] = [await rig.session(2), await rig.session(2)];
    expect(await charge(one.ids[0], SOON)).toBe('charged');
    expect(await rig.claimedIds()).toEqual(two.ids);
    const wait = await rig.store.nextRetryIn(SHARDS, []);
    expect(wait).toBeGreaterThan(50_000);
    expect(wait).toBeLessThanOrEqual(60_000);
    expect(await rig.store.nextRetryIn([1, 2], [])).toBeNull();
    expect(await rig.store.nextRetryIn(SHARDS, [one.key])).toBeNull();
    await letTimePass();
    expect(await rig.store.nextRetryIn(SHARDS, [])).toBe(0);
    expect(await rig.claimedIds()).toEqual([...two.ids, ...one.ids]);
    expect(await rig.claimedIds({ alsoHeld: false })).toEqual(two.ids);
    expect(await rig.value('SELECT retry_count, last_error FROM event_outbox WHERE id = $1', [one.ids[0]])).toEqual({
      retry_count: 1,
      last_error: 'too large',
    });
  });

  it('goes on though as many others as a claim may give are with the relay already', async () => {
    const [one, two, three] = [await rig.session(1), await rig.session(1), await rig.session(1)];
    for (const { ids } of [one, two, three]) await charge(ids[0], SOON);
    await letTimePass();
    expect(await rig.claimedIds({ limit: 2, exceptIds: [...one.ids, ...two.ids] })).toEqual(three.ids);
  });

  it('waits for each of many retries, however long each is', async () => {
    const { ids } = await rig.session(1);
    for (let retryCount = 6; retryCount < 20; retryCount += 1) {
      await charge(ids[0], afterRefusal({ retryCount, maxRetries: 99 }, 'hold'));
      expect(await rig.claimedIds()).toEqual([]);
      expect(await rig.store.nextRetryIn(SHARDS, [])).toBeGreaterThan(30_000);
    }
  });

  it('lets the rows before a FAILED one go, and holds those behind it', async () => {
    const { key, ids } = await rig.session(3);
    await charge(ids[1], { kind: 'fail' });
    expect(await rig.hold(key)).toEqual({ next: 1, blocked: null, waits: '-infinity' });
    expect(await sequences()).toBe('1h');
    await rig.publish((await rig.claim()).rows);
    expect(await rig.hold(key)).toEqual({ next: 2, blocked: 2, waits: 'infinity' });
    expect(await sequences()).toBe('');
    expect(await rig.store.nextRetryIn(SHARDS, [])).toBeNull();
  });

  it('goes on in order after the seed’s manual retry, and then leaves the hold', async () => {
    const { key, ids } = await rig.session(4);
    await rig.publish((await rig.claim({ limit: 1 })).rows);
    await charge(ids[1], { kind: 'fail' });
    expect(await sequences()).toBe('');
    await rig.run("UPDATE event_outbox SET status='PENDING' WHERE id=$1", [ids[1]]);
    expect(await sequences()).toBe('2h,3h,4h');
    // Whatever the floor.
    expect(await rig.claimedIds({ floor: 1_000_000 })).toEqual(ids.slice(1));
    expect(await drain()).toBe('2h,3h,4h');
    expect(await rig.hold(key)).toBeUndefined();
    await rig.insert(key, 5);
    expect(await sequences()).toBe('5');
  });

  it('goes on behind the marker of a discarded event', async () => {
    const { key, ids } = await rig.session(3);
    await charge(ids[0], { kind: 'fail' });
    await rig.run("UPDATE event_outbox SET status = 'DISCARDED' WHERE id = $1", [ids[0]]);
    const { rows } = await rig.claim();
    expect(rows[0]).toMatchObject({ payload: null, headers: { a: '2', b: '1', discarded: 'true' }, held: true });
    expect(await drain()).toBe('1hm,2h,3h');
    const text = 'SELECT status, partition, "offset", sent_at IS NULL AS undated FROM event_outbox WHERE id = $1';
    expect(await rig.value(text, [ids[0]])).toEqual({
      status: 'DISCARDED',
      partition: 3,
      offset: String(ids[0]),
      undated: false,
    });
    expect(await rig.hold(key)).toBeUndefined();
  });

  it('of whom a row that nobody has refused is discarded goes on in order, too', async () => {
    const { ids } = await rig.session(3);
    await rig.run("UPDATE event_outbox SET status = 'DISCARDED' WHERE id = $1", [ids[1]]);
    expect(await drain()).toBe('1h,2hm,3h');
  });

  it('sends the marker at once, though the row would have waited for its retry', async () => {
    const { ids } = await rig.session(2);
    await charge(ids[0], SOON);
    await rig.run("UPDATE event_outbox SET status = 'DISCARDED' WHERE id = $1", [ids[0]]);
    expect(await drain()).toBe('1hm,2h');
  });

  it('discards by itself when the relay is to', async () => {
    const { ids } = await rig.session(2);
    expect(await charge(ids[0], { kind: 'discard' })).toBe('charged');
    expect(await rig.value('SELECT status, last_error FROM event_outbox WHERE id = $1', [ids[0]])).toEqual({
      status: 'DISCARDED',
      last_error: 'too large',
    });
    expect(await drain()).toBe('1hm,2h');
  });

  it('gives a marker up that the broker refuses', async () => {
    const { ids } = await rig.session(2);
    await charge(ids[0], { kind: 'discard' });
    await charge(ids[0], SOON);
    expect(await sequences()).toBe('');
    await letTimePass();
    expect(await sequences()).toBe('1hm,2h');
    await charge(ids[0], { kind: 'fail' });
    expect(await drain()).toBe('2h');
  });

  it('stops at a second FAILED row, and says which it is once the first is gone', async () => {
    const { key, ids } = await rig.session(4);
    await charge(ids[0], { kind: 'fail' });
    await rig.run("UPDATE event_outbox SET status = 'FAILED', last_error = 'by hand' WHERE id = $1", [ids[2]]);
    expect(await rig.hold(key)).toEqual({ next: 1, blocked: 1, waits: 'infinity' });
    await rig.run("UPDATE event_outbox SET status = 'PENDING' WHERE id = $1", [ids[0]]);
    expect(await drain()).toBe('1h,2h');
    expect(await rig.hold(key)).toEqual({ next: 3, blocked: 3, waits: 'infinity' });
    await rig.run("UPDATE event_outbox SET status = 'PENDING' WHERE status = 'FAILED'");
    expect(await drain()).toBe('3h,4h');
  });

  it('that says it may go on though it may not, is looked at once', async () => {
    const { key, ids } = await rig.session(2);
    await charge(ids[0], { kind: 'fail' });
    await rig.run("UPDATE event_outbox_holds SET blocked_by = NULL, waits_until = '-infinity' WHERE key = $1", [key]);
    expect(await sequences()).toBe('');
    expect(await rig.hold(key)).toEqual({ next: 1, blocked: 1, waits: 'infinity' });
  });

  it('of which nothing is left is no longer one, whoever settled its rows', async () => {
    const { key, ids } = await rig.session(1);
    await charge(ids[0], SOON);
    await letTimePass();
    await rig.store.markSent([{ id: ids[0] ?? 0, partition: 3, offset: '1' }]);
    expect(await sequences()).toBe('');
    expect(await rig.hold(key)).toBeUndefined();
  });

  it('is given behind what is already on its way', async () => {
    const { ids } = await rig.session(3);
    await charge(ids[0], SOON);
    await letTimePass();
    const [first] = ids;
    expect(await rig.claimedIds({ exceptIds: [first ?? 0] })).toEqual(ids.slice(1));
    expect((await rig.claim({ exceptIds: ids })).rows).toEqual([]);
  });

  it('has its rows bounded by the limit, and the next ones follow', async () => {
    const [one, two] = [await rig.session(3), await rig.session(3)];
    for (const { ids } of [one, two]) await charge(ids[0], SOON);
    await letTimePass();
    const { rows } = await rig.claim({ limit: 4 });
    expect(rows.map(({ id }) => id)).toEqual([...one.ids, two.ids[0]]);
    await rig.publish(rows);
    expect(await rig.claimedIds()).toEqual(two.ids.slice(1));
  });

  it('does not leave the hold, nor come to wait, by the word of a member that has lost the shard', async () => {
    const { key, ids } = await rig.session(2);
    await charge(ids[0], SOON);
    await letTimePass();
    await rig.store.markSent(ids.map((id) => ({ id, partition: 3, offset: String(id) })));
    await rig.run('UPDATE relay_shards SET owner = 2');
    await rig.store.settleHolds([key]);
    expect(await rig.hold(key)).toMatchObject({ next: 1 });
    const [other] = (await rig.session(1)).ids;
    expect(await charge(other, { kind: 'fail' })).toBe('lost');
    expect(await rig.value('SELECT status, last_error FROM event_outbox WHERE id = $1', [other])).toEqual({
      status: 'PENDING',
      last_error: null,
    });
  });

  it('wakes the relay when it may go on', async () => {
    const { ids } = await rig.session(2);
    const listener = await rig.connect();
    let woken = 0;
    listener.on('notification', () => (woken += 1));
    await listener.query('LISTEN genesis_outbox');
    await charge(ids[0], { kind: 'fail' });
    await listener.query('SELECT 1');
    expect(woken).toBe(0);
    await rig.run("UPDATE event_outbox SET status = 'PENDING' WHERE id = $1", [ids[0]]);
    await listener.query('SELECT 1');
    expect(woken).toBe(1);
    await listener.end();
  });
});

describe('beside an operator’s open transaction', () => {
  it('a charge of the session he changes waits for nobody', async () => {
    const { ids } = await rig.session(2);
    const operator = await rig.connect();
    await operator.query('BEGIN');
    await operator.query("UPDATE event_outbox SET status = 'DISCARDED' WHERE id = $1", [ids[1]]);
    // The row itself, and the key of the hold that he is making.
    expect(await charge(ids[1], SOON)).toBe('locked');
    expect(await charge(ids[0], SOON)).toBe('locked');
    await operator.query('COMMIT');
    expect(await charge(ids[0], SOON)).toBe('charged');
    await operator.end();
    expect(await rig.value('SELECT retry_count FROM event_outbox WHERE id = $1', [ids[0]])).toEqual({ retry_count: 1 });
    await letTimePass();
    expect(await drain()).toBe('1h,2hm');
  });

  it('a charge of a row that he has settled counts as done', async () => {
    const { ids } = await rig.session(1);
    await rig.publish((await rig.claim()).rows);
    expect(await charge(ids[0], SOON)).toBe('charged');
  });

  it('his retry is not overwritten by what was known before it', async () => {
    const { key, ids } = await rig.session(2);
    await charge(ids[0], { kind: 'fail' });
    // Somebody says that it may go on: the next claim would say anew that it may not.
    await rig.run("UPDATE event_outbox_holds SET blocked_by = NULL, waits_until = '-infinity' WHERE key = $1", [key]);
    const operator = await rig.connect();
    await operator.query('BEGIN');
    await operator.query("UPDATE event_outbox SET status = 'PENDING' WHERE id = $1", [ids[0]]);
    expect(await sequences()).toBe('');
    await operator.query('COMMIT');
    await operator.end();
    expect(await rig.hold(key)).toEqual({ next: 1, blocked: null, waits: '-infinity' });
    expect(await drain()).toBe('1h,2h');
  });

  /** Lets `change` be committed while the store settles the hold by what it has seen before. */
  async function whileSettling(key: SessionId, change: () => Promise<unknown>): Promise<void> {
    const gate = await rig.connect();
    await gate.query('BEGIN; SELECT FROM relay_shards FOR UPDATE');
    const settling = rig.store.settleHolds([key]);
    const waiting = `SELECT count(*)::int AS count FROM pg_stat_activity
                     WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    await vi.waitFor(async () => expect(await rig.value(waiting)).toEqual({ count: 1 }), {
      timeout: 10_000,
      interval: 5,
    });
    await change();
    await gate.query('ROLLBACK');
    await settling;
    await gate.end();
  }

  it('nor a retry that is committed while the hold is being settled', async () => {
    const { key, ids } = await rig.session(2);
    await charge(ids[0], { kind: 'fail' });
    await rig.run("UPDATE event_outbox_holds SET blocked_by = NULL, waits_until = '-infinity' WHERE key = $1", [key]);
    await whileSettling(key, () => rig.run("UPDATE event_outbox SET status = 'PENDING' WHERE id = $1", [ids[0]]));
    expect(await rig.hold(key)).toEqual({ next: 1, blocked: null, waits: '-infinity' });
    expect(await drain()).toBe('1h,2h');
  });

  it('an event that is written while its session leaves the hold is claimed', async () => {
    const { key, ids } = await rig.session(1);
    await charge(ids[0], SOON);
    await rig.store.markSent([{ id: ids[0] ?? 0, partition: 3, offset: '1' }]);
    const { horizon } = await rig.claim();
    const added: number[] = [];
    await whileSettling(key, async () => added.push(await rig.insert(key, 2)));
    expect(await rig.hold(key)).toBeUndefined();
    expect(await rig.claimedIds({ floor: horizon })).toEqual(added);
  });

  it('two who change rows of one session at once leave one hold that covers both', async () => {
    const { key, ids } = await rig.session(4);
    const [one, two] = [await rig.connect(), await rig.connect()];
    await one.query('BEGIN');
    await one.query("UPDATE event_outbox SET status = 'DISCARDED' WHERE id = $1", [ids[3]]);
    const second = two.query("UPDATE event_outbox SET status = 'FAILED', last_error = 'x' WHERE id = $1", [ids[0]]);
    await one.query('COMMIT');
    await second;
    await Promise.all([one.end(), two.end()]);
    // If the first commits between two statements of the second one's trigger, nobody has said yet what blocks: the next claim finds out.
    expect(await drain()).toBe('');
    expect(await rig.hold(key)).toEqual({ next: 1, blocked: 1, waits: 'infinity' });
    await rig.run("UPDATE event_outbox SET status = 'PENDING' WHERE status = 'FAILED'");
    expect(await drain()).toBe('1h,2h,3h,4hm');
  });

  it('many retried at once and holds that are settled do not stand in each other’s way', async () => {
    const sessions = await Promise.all(Array.from({ length: 30 }, () => rig.session(2)));
    for (const { ids } of sessions) await charge(ids[0], { kind: 'fail' });
    const operator = await rig.connect();
    for (let round = 0; round < 10; round += 1) {
      const [retried] = await Promise.all([
        operator.query("UPDATE event_outbox SET status = 'PENDING' WHERE status = 'FAILED'"),
        rig.store.settleHolds(sessions.toReversed().map(({ key }) => key)),
      ]);
      expect(retried.rowCount).toBe(30);
      await operator.query("UPDATE event_outbox SET status = 'FAILED' WHERE sequence = 1");
    }
    await operator.query("UPDATE event_outbox SET status = 'PENDING' WHERE status = 'FAILED'");
    await operator.end();
    let published = 0;
    for (let { rows } = await rig.claim(); rows.length > 0; { rows } = await rig.claim()) {
      await rig.publish(rows);
      published += rows.length;
    }
    expect(published).toBe(60);
    expect(await rig.value('SELECT count(*)::int AS holds FROM event_outbox_holds')).toEqual({ holds: 0 });
  });
});
