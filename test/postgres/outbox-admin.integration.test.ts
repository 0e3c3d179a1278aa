import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SessionId } from '../../src/genesis/ids.ts';
import type { RowFilter } from '../../src/outbox/operations/ports.ts';
import type { RowPosition } from '../../src/outbox/operations/select-rows.ts';
import { ANY, deed, startOutboxRig, type OutboxRig } from './outbox-admin-rig.ts';

/** A rig for each group of tests: they count everything that there is. */
function withRig(): { readonly rig: OutboxRig } {
  const held: { rig?: OutboxRig } = {};
  beforeAll(async () => {
    held.rig = await startOutboxRig();
  });
  afterAll(() => held.rig?.stop());
  return {
    get rig() {
      if (held.rig === undefined) throw new Error('not started');
      return held.rig;
    },
  };
}

const of = (filter: Partial<RowFilter>): RowFilter => ({ ...ANY, ...filter });
const failed = (filter: Partial<RowFilter> = {}) => ({ action: 'retry', filter: of(filter), force: false }) as const;
const discarding = (filter: Partial<RowFilter> = {}, force = false) =>
  ({ action: 'discard', filter: of(filter), force }) as const;

describe('the figures', () => {
  const given = withRig();
  let stuck: SessionId;
  beforeAll(async () => {
    const { rig } = given;
    const sent = await rig.session(3, 0);
    await rig.send(sent, 3);
    await rig.session(2, 0);
    stuck = await rig.session(5, 1);
    await rig.send(stuck, 1);
    await rig.fail(stuck, 2);
    const retried = await rig.session(2, 1);
    await rig.refuse(retried, 1);
    const discarded = await rig.session(2, 2);
    await rig.fail(discarded, 1);
    await rig.query(`UPDATE event_outbox SET status = 'DISCARDED' WHERE key = $1 AND sequence = 1`, [discarded]);
  });

  it('count per shard what is not published, and why', async () => {
    const { backlogs } = await given.rig.operations.backlogs();
    const empty = { pending: 0, waitingForRetry: 0, held: 0, failed: 0, discarded: 0, sessionsOnHold: 0 };
    expect(backlogs.shards.get(0)).toMatchObject({ ...empty, pending: 2, complete: true });
    expect(backlogs.shards.get(1)).toMatchObject({
      pending: 5,
      waitingForRetry: 1,
      held: 4,
      failed: 1,
      discarded: 0,
      sessionsOnHold: 2,
      complete: true,
    });
    expect(backlogs.shards.get(2)).toMatchObject({ ...empty, pending: 1, discarded: 1, sessionsOnHold: 1 });
    expect(backlogs.shards.get(7)).toEqual({ ...empty, oldestAge: null, complete: true });
    expect(backlogs.total).toMatchObject({ pending: 8, failed: 1, discarded: 1, sessionsOnHold: 3, complete: true });
    expect(backlogs.total.oldestAge).toBeGreaterThanOrEqual(0);
  });

  it('are the same when the shards’ floors have moved on: sessions on hold are not found by id', async () => {
    const { rig } = given;
    const before = await rig.operations.backlogs();
    await rig.query('UPDATE relay_shards SET floor = 4');
    expect((await rig.operations.backlogs()).backlogs.total).toMatchObject({ pending: before.backlogs.total.pending });
    await rig.query(`UPDATE relay_shards SET floor = (SELECT max(id) + 1 FROM event_outbox)`);
    const { backlogs } = await rig.operations.backlogs();
    expect(backlogs.total).toMatchObject({ pending: 6, failed: 1 });
    await rig.query('UPDATE relay_shards SET floor = 1');
  });

  it('say how old the oldest is', async () => {
    const { rig } = given;
    await rig.query('ALTER TABLE event_outbox DISABLE TRIGGER USER');
    await rig.query(`UPDATE event_outbox SET created_at = now() - interval '1 hour' WHERE key = $1 AND sequence = 2`, [
      stuck,
    ]);
    await rig.query('ALTER TABLE event_outbox ENABLE TRIGGER USER');
    const { backlogs } = await rig.operations.backlogs();
    expect(backlogs.shards.get(1)?.oldestAge).toBeGreaterThan(3_599);
    expect(backlogs.shards.get(0)?.oldestAge).toBeLessThan(3_000);
  });
});

describe('the list', () => {
  const given = withRig();
  let stuck: SessionId;
  let free: SessionId;
  beforeAll(async () => {
    const { rig } = given;
    free = await rig.session(4, 0);
    await rig.send(free, 2);
    stuck = await rig.session(5, 1);
    await rig.send(stuck, 1);
    await rig.fail(stuck, 2, 'too large by far');
  });

  async function pages(filter: RowFilter, size = 100): Promise<string[]> {
    const found: string[] = [];
    let position: RowPosition | null = null;
    do {
      const page: Awaited<ReturnType<typeof given.rig.operations.list>> = await given.rig.operations.list(
        filter,
        position,
        size,
      );
      expect(page.rows.length).toBeLessThanOrEqual(size);
      for (const { row } of page.rows) found.push(`${row.sessionId === stuck ? 'stuck' : 'free'} ${row.sequence}`);
      position = page.next;
    } while (position !== null);
    return found;
  }

  const waiting = ['stuck 2', 'stuck 3', 'stuck 4', 'stuck 5', 'free 3', 'free 4'];
  it.each([1, 2, 3, 100])('shows what waits, what is stuck first, in pages of %i', async (size) => {
    expect(await pages(ANY, size)).toEqual(waiting);
  });

  it.each([1, 2, 100])('shows by status, in pages of %i', async (size) => {
    expect(await pages(of({ status: 'PENDING' }), size)).toEqual(waiting.slice(1));
    expect(await pages(of({ status: 'FAILED' }), size)).toEqual(['stuck 2']);
    expect(await pages(of({ status: 'SENT' }), size)).toEqual(['stuck 1', 'free 2', 'free 1']);
    expect(await pages(of({ status: 'DISCARDED' }), size)).toEqual([]);
    expect(await pages(of({ sessionId: stuck }), size)).toEqual(['stuck 1', ...waiting.slice(0, 4)]);
  });

  it('shows by every other criterion, and what fits all of them', async () => {
    const { rig } = given;
    const [third, fifth] = [await rig.idOf(stuck, 3), await rig.idOf(stuck, 5)];
    expect(await pages(of({ shard: 0 }))).toEqual(['free 3', 'free 4']);
    expect(await pages(of({ eventType: 'Genesis.Session.Created' }))).toEqual([]);
    expect(await pages(of({ status: 'SENT', eventType: 'Genesis.Session.Created' }))).toEqual(['stuck 1', 'free 1']);
    expect(await pages(of({ fromId: third, toId: fifth }))).toEqual(['stuck 3', 'stuck 4', 'stuck 5']);
    expect(await pages(of({ status: 'SENT', toId: 2 }))).toEqual(['free 2', 'free 1']);
    expect(await pages(of({ ids: [fifth, 1] }))).toEqual(['free 1', 'stuck 5']);
    expect(await pages(of({ sessionId: stuck, status: 'PENDING', shard: 1, fromId: fifth }))).toEqual(['stuck 5']);
    expect(await pages(of({ minAge: 3_600 }))).toEqual([]);
    expect(await pages(of({ maxAge: 3_600 }))).toEqual(waiting);
    const [{ event_id: eventId = '' } = {}] = await rig.query<{ event_id: string }>(
      'SELECT event_id FROM event_outbox WHERE key = $1 AND sequence = 3',
      [stuck],
    );
    expect(await pages(of({ eventId: eventId as never }))).toEqual(['stuck 3']);
    expect(await pages(of({ eventId: eventId as never, sessionId: free }))).toEqual([]);
  });

  it('shows a discarded row before its marker was sent and after', async () => {
    const { rig } = given;
    const other = await rig.session(2, 3);
    await rig.query(`UPDATE event_outbox SET status = 'DISCARDED' WHERE key = $1`, [other]);
    expect(await pages(of({ status: 'DISCARDED' }))).toEqual(['free 1', 'free 2']);
    await rig.query(`UPDATE event_outbox SET sent_at = now() WHERE key = $1 AND sequence = 1`, [other]);
    expect(await pages(of({ status: 'DISCARDED' }))).toEqual(['free 2', 'free 1']);
    await rig.query(`UPDATE event_outbox SET sent_at = now() WHERE key = $1`, [other]);
    await rig.query(`DELETE FROM event_outbox_holds WHERE key = $1`, [other]);
  });

  it('says of each row what it waits for', async () => {
    const { rig } = given;
    await rig.own([0]);
    await rig.own([1], -1);
    await rig.query('UPDATE relay_shards SET paused = true WHERE shard = 0');
    const { rows } = await rig.operations.list(ANY, null, 100);
    const reasons = rows.map(({ waits }) => waits.map(({ reason }) => reason).join('+'));
    expect(reasons).toEqual([
      'FAILED+SHARD_NOT_OWNED',
      ...Array.from({ length: 3 }, () => 'HELD+SHARD_NOT_OWNED'),
      'SHARD_PAUSED',
      'SHARD_PAUSED',
    ]);
    expect(rows[2]?.waits[0]).toMatchObject({
      behind: { sequence: 2, status: 'FAILED', lastError: 'too large by far' },
    });
  });
});

describe('a session', () => {
  const given = withRig();

  it('is told from its first row that is not settled on', async () => {
    const { rig } = given;
    const key = await rig.session(6, 1);
    await rig.send(key, 2);
    await rig.refuse(key, 3);
    const told = await rig.operations.publicationOf(key);
    expect(told?.waiting.map(({ row }) => row.sequence)).toEqual([3, 4, 5, 6]);
    expect(told?.waiting.map(({ waits }) => waits[0]?.reason)).toEqual(['RETRY', 'HELD', 'HELD', 'HELD']);
    expect(told?.waiting[1]?.waits[0]?.until).toBeGreaterThan(Date.now());
    expect(told).toMatchObject({
      complete: true,
      hold: { nextSequence: 3, blocking: { sequence: 3 } },
      lastSettled: { sequence: 2 },
    });
  });

  it('without a hold is told by its end, however long it is', async () => {
    const { rig } = given;
    const key = await rig.session(3_000, 1);
    await rig.send(key, 2_998);
    const told = await rig.operations.publicationOf(key);
    expect(told?.waiting.map(({ row }) => row.sequence)).toEqual([2_999, 3_000]);
    expect(told?.lastSettled?.sequence).toBe(2_998);
    await rig.send(key, 3_000);
    expect(await rig.operations.publicationOf(key)).toMatchObject({ waiting: [], hold: null });
  });

  it('that is not there is not told of', async () => {
    expect(await given.rig.operations.publicationOf('01890a5d-ac96-774b-bcce-b302099a8057' as SessionId)).toBeNull();
  });
});

describe('retrying', () => {
  const given = withRig();

  it('makes FAILED rows PENDING with new tries, lets their sessions go on, wakes the relay, and is in the audit trail', async () => {
    const { rig } = given;
    const key = await rig.session(3, 1);
    await rig.fail(key, 1);
    const listener = await rig.pool.connect();
    const heard: string[] = [];
    listener.on('notification', ({ channel }) => heard.push(channel));
    await listener.query('LISTEN genesis_outbox');
    const preview = await rig.operations.preview(failed());
    expect(preview).toMatchObject({ count: 1, complete: true, sample: [{ row: { sequence: 1 } }] });
    const told = deed({ actor: 'ida', via: 'http', filter: '{"shard":1}' });
    const result = await rig.operations.act({ ...failed(), token: preview.token, deed: told });
    expect(result).toEqual({ affected: 1, skipped: 0, skippedIds: [], complete: true, interrupted: null });
    expect(await rig.statuses(key)).toBe('PENDING PENDING PENDING');
    const [hold] = await rig.query('SELECT blocked_by, next_sequence FROM event_outbox_holds WHERE key = $1', [key]);
    expect(hold).toEqual({ blocked_by: null, next_sequence: 1 });
    await expect.poll(() => heard).toContain('genesis_outbox');
    listener.release(true);
    const [action] = await rig.operations.actions({ action: null, actor: null, callId: null, before: null, limit: 1 });
    expect(action).toMatchObject({
      actor: 'ida',
      via: 'http',
      action: 'retry',
      callId: told.callId,
      filter: { shard: 1 },
      reason: 'for a test',
      shards: [],
    });
    expect(action?.eventIds).toHaveLength(1);
    expect((await rig.operations.act({ ...failed(), token: null, deed: deed() })).affected).toBe(0);
    expect(await rig.query(`SELECT FROM operator_actions WHERE action = 'retry'`)).toHaveLength(1);
  });

  it('refuses when other rows fit than at the preview, be they as many', async () => {
    const { rig } = given;
    const [one, other] = [await rig.session(1, 2), await rig.session(1, 2)];
    await rig.fail(one, 1);
    const { token } = await rig.operations.preview(failed({ shard: 2 }));
    await rig.fail(other, 1);
    const act = () => rig.operations.act({ ...failed({ shard: 2 }), token, deed: deed() });
    await expect(act()).rejects.toMatchObject({ code: 'SELECTION_CHANGED', details: { actual_count: 2 } });
    await rig.query(`UPDATE event_outbox SET status = 'PENDING' WHERE key = $1`, [one]);
    await expect(act()).rejects.toMatchObject({ code: 'SELECTION_CHANGED', details: { actual_count: 1 } });
    expect(await rig.statuses(other)).toBe('FAILED');
  });

  it('passes over what is not FAILED, and what somebody else has locked', async () => {
    const { rig } = given;
    const key = await rig.session(2, 3);
    await rig.send(key, 1);
    await rig.fail(key, 2);
    const ids = [await rig.idOf(key, 1), await rig.idOf(key, 2)];
    const holder = await rig.pool.connect();
    await holder.query('BEGIN');
    await holder.query('SELECT FROM event_outbox WHERE id = $1 FOR UPDATE', [ids[1]]);
    const act = () => rig.operations.act({ ...failed({ ids }), token: null, deed: deed() });
    expect(await act()).toMatchObject({ affected: 0, skipped: 2, skippedIds: ids });
    await holder.query('ROLLBACK');
    holder.release();
    expect(await act()).toMatchObject({ affected: 1, skipped: 1, skippedIds: [ids[0]] });
  });

  it('goes in steps, each with its line in the audit trail, in the order of sessions and sequences', async () => {
    const { rig } = given;
    await rig.operations.act({ ...failed(), token: null, deed: deed() });
    const keys = await Promise.all(Array.from({ length: 250 }, () => rig.session(1, 4)));
    await Promise.all(keys.map((key) => rig.fail(key, 1)));
    const told = deed();
    expect(await rig.operations.act({ ...failed({ shard: 4 }), token: null, deed: told })).toMatchObject({
      affected: 250,
    });
    const query = { action: 'retry', actor: 'olga', callId: told.callId, before: null, limit: 10 };
    const actions = await rig.operations.actions(query);
    expect(actions.map(({ eventIds }) => eventIds.length)).toEqual([50, 200]);
    const events = actions.toReversed().flatMap(({ eventIds }) => eventIds);
    const inOrder = await rig.query<{ event_id: string }>(
      'SELECT event_id FROM event_outbox WHERE shard = 4 ORDER BY key, sequence',
    );
    expect(events).toEqual(inOrder.map((row) => row.event_id));
  });
});

describe('discarding', () => {
  const given = withRig();

  it('takes FAILED rows unless told otherwise, and lets their sessions go on', async () => {
    const { rig } = given;
    const key = await rig.session(3, 1);
    await rig.fail(key, 1);
    const result = await rig.operations.act({ ...discarding(), token: null, deed: deed() });
    expect(result.affected).toBe(1);
    expect(await rig.statuses(key)).toBe('DISCARDED PENDING PENDING');
    expect((await rig.operations.backlogs()).backlogs.shards.get(1)).toMatchObject({ discarded: 1, held: 0 });
  });

  it('takes PENDING rows that are kept back, and others by force only', async () => {
    const { rig } = given;
    const [stuck, free] = [await rig.session(3, 2), await rig.session(1, 2)];
    await rig.refuse(stuck, 1);
    const pending = { status: 'PENDING', shard: 2 } as const;
    expect(await rig.operations.preview(discarding(pending))).toMatchObject({ count: 3 });
    expect(await rig.operations.preview(discarding(pending, true))).toMatchObject({ count: 4 });
    const ids = [await rig.idOf(stuck, 3), await rig.idOf(free, 1)];
    const act = (force: boolean) => rig.operations.act({ ...discarding({ ids }, force), token: null, deed: deed() });
    expect(await act(false)).toMatchObject({ affected: 1, skippedIds: [ids[1]] });
    expect(await act(true)).toMatchObject({ affected: 1, skippedIds: [ids[0]] });
    expect([await rig.statuses(stuck), await rig.statuses(free)]).toEqual(['PENDING PENDING DISCARDED', 'DISCARDED']);
  });

  it('is judged by the database once more: a row that is free by now is left alone', async () => {
    const { rig } = given;
    const key = await rig.session(1, 3);
    const step = { action: 'discard', ids: [await rig.idOf(key, 1)], force: false, deed: deed() } as const;
    expect(await rig.store.change(step)).toEqual([]);
    await rig.refuse(key, 1);
    expect(await rig.store.change(step)).toEqual(step.ids);
  });
});

describe('pausing', () => {
  const given = withRig();

  it('pauses shards that are not, tells the audit trail, and resumes all', async () => {
    const { rig } = given;
    expect(await rig.operations.setPaused([1, 2, 1], true, deed())).toEqual({ changed: [1, 2], unchanged: [] });
    expect(await rig.operations.setPaused([2, 3], true, deed())).toEqual({ changed: [3], unchanged: [2] });
    const { relays } = await rig.operations.backlogs();
    expect(relays.shards.filter(({ paused }) => paused).map(({ shard }) => shard)).toEqual([1, 2, 3]);
    const resumed = await rig.operations.setPaused(null, false, deed({ reason: null }));
    expect(resumed).toEqual({ changed: [1, 2, 3], unchanged: [0, 4, 5, 6, 7] });
    const actions = await rig.operations.actions({ action: null, actor: null, callId: null, before: null, limit: 9 });
    expect(actions.map(({ action, shards }) => `${action} ${shards.join()}`)).toEqual([
      'resume 3',
      'resume 2',
      'resume 1',
      'pause 3',
      'pause 2',
      'pause 1',
    ]);
    const { id = 0 } = actions[1] ?? {};
    const older = await rig.operations.actions({ action: 'resume', actor: null, callId: null, before: id, limit: 9 });
    expect(older.map(({ shards }) => shards)).toEqual([[1]]);
  });

  it('knows its shards', async () => {
    await expect(given.rig.operations.setPaused([8], true, deed())).rejects.toThrow(
      'there is no shard 8: they are 0 to 7',
    );
    await expect(given.rig.operations.setPaused([0, 8], true, deed())).rejects.toThrow('there is no shard 8');
    expect((await given.rig.operations.backlogs()).relays.shards.some(({ paused }) => paused)).toBe(false);
  });

  it('gives up, and says so, when somebody keeps a shard locked', async () => {
    const { rig } = given;
    const holder = await rig.pool.connect();
    await holder.query('BEGIN');
    await holder.query('SELECT FROM relay_shards WHERE shard = 5 FOR UPDATE');
    await expect(rig.operations.setPaused([5], true, deed())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await holder.query('ROLLBACK');
    holder.release();
  });
});

describe('the audit trail', () => {
  const given = withRig();

  it.each([
    [`UPDATE operator_actions SET actor = 'nobody'`],
    ['DELETE FROM operator_actions'],
    ['TRUNCATE operator_actions'],
  ])('refuses %s', async (text) => {
    await given.rig.operations.setPaused([0], true, deed());
    // Its owner may grant himself what was revoked; the trigger stays.
    await given.rig.query('GRANT UPDATE, DELETE, TRUNCATE ON operator_actions TO CURRENT_USER');
    await expect(given.rig.query(text)).rejects.toMatchObject({ code: '23001' });
  });

  it('takes no discarding without a reason', async () => {
    const { rig } = given;
    const key = await rig.session(1, 1);
    await rig.fail(key, 1);
    const act = rig.operations.act({ ...discarding(), token: null, deed: deed({ reason: null }) });
    await expect(act).rejects.toMatchObject({ code: '23514' });
    expect(await rig.statuses(key)).toBe('FAILED');
  });
});
