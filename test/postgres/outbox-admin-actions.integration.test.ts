import { describe, expect, it } from 'vitest';
import type { RowFilter } from '../../src/outbox/operations/ports.ts';
import { deed, of, withOutboxRig } from './outbox-admin-rig.ts';

const failed = (filter: Partial<RowFilter> = {}) => ({ action: 'retry', filter: of(filter), force: false }) as const;
const discarding = (filter: Partial<RowFilter> = {}, force = false) =>
  ({ action: 'discard', filter: of(filter), force }) as const;

describe('retrying', () => {
  const given = withOutboxRig();

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
  const given = withOutboxRig();

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
  const given = withOutboxRig();

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
  const given = withOutboxRig();

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
