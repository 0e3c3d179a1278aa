import { beforeAll, describe, expect, it } from 'vitest';
import type { SessionId } from '../../src/genesis/ids.ts';
import type { RowFilter } from '../../src/outbox/operations/ports.ts';
import type { RowPosition } from '../../src/outbox/operations/select-rows.ts';
import { ANY, of, withOutboxRig } from './outbox-admin-rig.ts';

describe('the figures', () => {
  const given = withOutboxRig();
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
  const given = withOutboxRig();
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
    const { rows } = await rig.operations.list(of({ ids: [third] }), null, 1);
    const eventId = rows[0]?.row.eventId ?? null;
    expect(await pages(of({ eventId }))).toEqual(['stuck 3']);
    expect(await pages(of({ eventId, sessionId: free }))).toEqual([]);
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
  const given = withOutboxRig();

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
