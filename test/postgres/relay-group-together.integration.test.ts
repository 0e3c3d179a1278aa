import { describe, expect, test, vi } from 'vitest';
import { createRelayGroup } from '../../src/postgres/relay-group.ts';
import { DeliveryModeDiffers, type Membership } from '../../src/relay/ports.ts';
import { startPostgresProxy } from '../support/postgres-proxy.ts';
import { ALL_SHARDS, PATIENCE, RelayGroupRig, report } from './relay-group-rig.ts';

const rig = RelayGroupRig.install();

describe('several at once', () => {
  test('five members that want everything get each shard once', async () => {
    const five = await Promise.all(Array.from({ length: 5 }, () => rig.join()));
    const epochs = new Map(ALL_SHARDS.map((shard) => [shard, 0]));
    for (let rounds = 0; rounds < 20; rounds += 1) {
      const taken = await Promise.all(five.map((member) => member.acquire(ALL_SHARDS)));
      const shards = taken.flatMap((acquired) => acquired.map(({ shard }) => shard));
      expect(shards.toSorted((one, other) => one - other)).toEqual(ALL_SHARDS);
      for (const { shard, epoch } of taken.flat()) {
        expect(epoch).toBe((epochs.get(shard) ?? 0) + 1);
        epochs.set(shard, epoch);
      }
      await Promise.all(
        five.map((member, place) => member.release((taken[place] ?? []).map(({ shard }) => report(shard)))),
      );
    }
  });

  test('of two that join at once with differing delivery only one gets in', async () => {
    for (let rounds = 0; rounds < 10; rounds += 1) {
      const joining = await Promise.allSettled([
        rig.join({ delivery: 'exactly-once' }),
        rig.join({ delivery: 'at-least-once' }),
      ]);
      const refused = joining.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
      expect(refused).toHaveLength(1);
      expect(refused[0]).toBeInstanceOf(DeliveryModeDiffers);
      expect(String(refused[0])).toMatch(/relay \d+ \(test\) delivers .*RELAY_DELIVERY/);
      await rig.leaveAll();
    }
  });

  test('the delivery of a member that is dead or has expired binds nobody', async () => {
    const proxy = await startPostgresProxy(rig.url);
    await rig.join({ url: proxy.url, delivery: 'exactly-once' });
    await proxy.stop();
    await vi.waitFor(() => rig.join({ delivery: 'at-least-once', ttl: 100 }), PATIENCE);
    await vi.waitFor(() => rig.join({ delivery: 'exactly-once' }), { ...PATIENCE, interval: 50 });
  });
});

describe('transactional ids', () => {
  test('differ between members, and begin with what an ACL may name', async () => {
    const [one, other] = [await rig.join(), await rig.join()];
    expect(one.transactionalId).toMatch(/^genesis-relay-genesis_test_\w+-\d+-[0-9a-f]{16}$/);
    expect(one.transactionalId).not.toBe(other.transactionalId);
  });

  test('are handed on when a member ends, and forgotten when it gives back', async () => {
    const [first, second] = [
      await rig.join({ delivery: 'exactly-once' }),
      await rig.join({ delivery: 'exactly-once' }),
    ];
    await first.acquire([0, 1]);
    await first.release([report(0)]);
    await first.leave();
    await vi.waitFor(async () => {
      expect(await second.acquire([1])).toMatchObject([{ predecessors: [first.transactionalId] }]);
    }, PATIENCE);
    expect(await second.acquire([0])).toMatchObject([{ predecessors: [] }]);
  });

  test('stay until somebody says that they are fenced', async () => {
    const take = async (member: Membership) => {
      const acquired: string[][] = [];
      await vi.waitFor(async () => {
        acquired.push(...(await member.acquire([0])).map(({ predecessors }) => [...predecessors]));
        expect(acquired).toHaveLength(1);
      }, PATIENCE);
      return acquired.flat();
    };
    const [first, second] = [
      await rig.join({ delivery: 'exactly-once' }),
      await rig.join({ delivery: 'exactly-once' }),
    ];
    expect(await take(first)).toEqual([]);
    await first.leave();
    expect(await take(second)).toEqual([first.transactionalId]);
    await second.beat([report(0, { state: 'recovering' })]);
    await second.leave();
    const third = await rig.join();
    expect(await take(third)).toEqual([first.transactionalId, second.transactionalId]);
    await third.release([report(0, { state: 'leaving' })]);
    expect(await take(third)).toEqual([first.transactionalId, second.transactionalId]);
    await third.beat([report(0, { state: 'active' })]);
    await third.leave();
    const last = await rig.join({ delivery: 'exactly-once' });
    expect(await take(last)).toEqual([]);
    expect((await rig.stored(0))?.transactional_ids).toEqual([last.transactionalId]);
    await last.beat([report(0, { state: 'active' })]);
    expect((await rig.stored(0))?.transactional_ids).toEqual([last.transactionalId]);
    await last.release([report(0, { state: 'leaving' })]);
    expect((await rig.stored(0))?.transactional_ids).toEqual([]);
  });
});

describe('relays of a version without shards', () => {
  const OLD_LOCK = 'SELECT pg_try_advisory_lock(1195724357, 0) AS held';
  const OLD_UNLOCK = 'SELECT pg_advisory_unlock(1195724357, 0)';

  test('are waited for', async () => {
    await rig.admin.query(OLD_LOCK);
    const onStandby = vi.fn();
    const joining = rig.join({ standbyInterval: 10, onStandby });
    await vi.waitFor(() => expect(onStandby).toHaveBeenCalledTimes(1), PATIENCE);
    expect(await rig.membersInTable()).toEqual([]);
    await rig.admin.query(OLD_UNLOCK);
    await joining;
    expect(onStandby).toHaveBeenCalledTimes(1);
  });

  test('stand by while one with shards is at work', async () => {
    const [one, other] = [await rig.join(), await rig.join()];
    const held = async () => (await rig.admin.query<{ held: boolean }>(OLD_LOCK)).rows[0]?.held;
    await one.leave();
    expect(await held()).toBe(false);
    await other.leave();
    await vi.waitFor(async () => expect(await held()).toBe(true), PATIENCE);
    await rig.admin.query(OLD_UNLOCK);
  });

  test('are waited for no longer than one is told to', async () => {
    await rig.admin.query(OLD_LOCK);
    const stop = new AbortController();
    const onStandby = vi.fn();
    const joining = createRelayGroup(rig.url, { onStandby }).join(
      { name: 'test', delivery: 'at-least-once' },
      stop.signal,
    );
    const refused = expect(joining).rejects.toThrow('stopped');
    await vi.waitFor(() => expect(onStandby).toHaveBeenCalled(), PATIENCE);
    stop.abort(new Error('stopped'));
    await refused;
    await rig.admin.query(OLD_UNLOCK);
  });
});

test('a database that is not there is told', async () => {
  await expect(rig.join({ url: 'postgres://nobody@127.0.0.1:1/none' })).rejects.toThrow(/ECONNREFUSED/);
});
