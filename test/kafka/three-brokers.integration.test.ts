import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, test, vi } from 'vitest';
import { startKafkaCluster, type KafkaCluster } from '../../faults/kafka-cluster.ts';
import type { SessionId } from '../../src/genesis/ids.ts';
import { CommittedRecords } from '../../src/kafka/committed-records.ts';
import { KafkaPublisher } from '../../src/kafka/publisher.ts';
import { KafkaTopicReader } from '../../src/kafka/topic-reader.ts';
import { KafkaTransactionalPublisher } from '../../src/kafka/transactional-publisher.ts';
import {
  PublisherUnavailable,
  type OutgoingRecord,
  type Publisher,
  type RecordOutcome,
} from '../../src/relay/ports.ts';

const PARTITIONS = 6;
const folder = mkdtempSync(join(tmpdir(), 'genesis-three-'));
const { signal } = new AbortController();

let cluster: KafkaCluster;
let topic: string;
let publisher: KafkaPublisher;

beforeAll(async () => {
  cluster = await startKafkaCluster({
    ...{ brokers: 3, folder },
    // How soon a dead broker is noticed, in milliseconds.
    settings: { 'broker.session.timeout.ms': '5000', 'broker.heartbeat.interval.ms': '1000' },
  });
}, 240_000);
afterAll(async () => {
  await cluster.stop();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  topic = `three-test-${randomUUID()}`;
  publisher = new KafkaPublisher({ brokers: cluster.brokers, topic }, { deliveryDeadline: 1_000 });
});
afterEach(async () => {
  await publisher.close();
  for (const node of cluster.nodes.filter((one) => !one.isRunning())) await node.start();
  await cluster.admin.untilBrokers(3);
}, 120_000);

function create(replicas: number, minInsync: number): Promise<void> {
  return cluster.admin.createTopic(topic, { partitions: PARTITIONS, replicas, minInsync });
}

function toAll(payload: string): OutgoingRecord[] {
  return Array.from({ length: PARTITIONS }, (_, shard) => {
    return { topic, key: `session-${shard}` as SessionId, shard, payload, headers: { sequence: '1' } };
  });
}

/** By partition, of a send of one record to each. */
async function sendTo(records: readonly OutgoingRecord[], through: Publisher = publisher) {
  const began = performance.now();
  const outcomes = await through.send(records);
  const took = performance.now() - began;
  return { took, outcomes: new Map(records.map(({ shard }, index) => [shard, outcomes[index]])) };
}

function shardsThat(outcomes: ReadonlyMap<number, RecordOutcome | undefined>, kind: RecordOutcome['kind']): number[] {
  return [...outcomes].filter(([, outcome]) => outcome?.kind === kind).map(([shard]) => shard);
}

async function ledBy(node: number): Promise<number[]> {
  const partitions = await cluster.admin.partitions(topic);
  return partitions.filter(({ leader }) => leader === node).map(({ partition }) => partition);
}

const others = (shards: readonly number[]) => toAll('').flatMap(({ shard }) => (shards.includes(shard) ? [] : [shard]));

async function written(): Promise<Map<number, (string | null)[]>> {
  const reader = new CommittedRecords({ brokers: cluster.brokers, topic }, { patience: 30_000 });
  const logs = new Map<number, (string | null)[]>();
  for (const { partition, first, end } of await reader.ranges()) {
    const values: (string | null)[] = [];
    for await (const chunk of reader.read(partition, first, end)) values.push(...chunk.map(({ value }) => value));
    logs.set(partition, values);
  }
  await reader.close();
  return logs;
}

describe('when one of three brokers is killed', () => {
  let dead: number[];

  beforeEach(async () => {
    await create(1, 1);
    await publisher.send(toAll('0'));
    dead = await ledBy(3);
    expect(dead.length).toBeGreaterThan(0);
    await cluster.node(3).kill('SIGKILL');
  });

  it('the partitions of the others are written all the while, and its own again when it is back', async () => {
    const expected = new Map(toAll('').map(({ shard }) => [shard, ['0']]));
    // First its connections are refused; once the cluster has noticed, its partitions have no leader.
    let leaderless = false;
    for (let round = 1; !leaderless || round < 4; round += 1) {
      const { took, outcomes } = await sendTo(toAll(`${round}`));
      leaderless = dead.every((shard) => JSON.stringify(outcomes.get(shard)).includes('has no leader'));
      expect(shardsThat(outcomes, 'acknowledged')).toEqual(others(dead));
      for (const shard of dead) expect(outcomes.get(shard)).toMatchObject({ kind: 'unavailable', scope: 'partition' });
      expect(took).toBeLessThan(3_000);
      for (const shard of others(dead)) expected.get(shard)?.push(`${round}`);
    }
    await cluster.node(3).start();
    await vi.waitFor(
      async () => {
        const { outcomes } = await sendTo(toAll('back').filter(({ shard }) => dead.includes(shard)));
        expect(shardsThat(outcomes, 'acknowledged')).toEqual(dead);
      },
      { timeout: 60_000, interval: 100 },
    );
    for (const shard of dead) expected.get(shard)?.push('back');
    expect(await written()).toEqual(expected);
  });

  it('a send to its partitions alone does not hold up the sends to come', async () => {
    const { took, outcomes } = await sendTo(toAll('1').filter(({ shard }) => dead.includes(shard)));
    expect(shardsThat(outcomes, 'unavailable')).toEqual(dead);
    for (const shard of dead) expect(outcomes.get(shard)).toMatchObject({ scope: 'partition' });
    expect(took).toBeLessThan(3_000);
  });

  it('what the others hold can be read, though it is known that its partitions have no leader', async () => {
    await vi.waitFor(
      async () => {
        const { outcomes } = await sendTo(toAll('1').filter(({ shard }) => dead.includes(shard)));
        expect(JSON.stringify([...outcomes.values()])).toContain('has no leader');
      },
      { timeout: 60_000, interval: 100 },
    );
    const reader = new KafkaTopicReader({ brokers: cluster.brokers, topic }, { patience: 200 });
    for (const shard of others(dead)) expect(await reader.last(shard, signal)).toMatchObject({ offset: '0' });
    for (const shard of dead) await expect(reader.last(shard, signal)).rejects.toThrow(PublisherUnavailable);
    await reader.close();
  });

  it('a transaction is rolled back, and goes through without its partitions', async () => {
    const transactional = new KafkaTransactionalPublisher({ brokers: cluster.brokers, topic });
    await transactional.open(topic, signal);
    const { took, outcomes } = await sendTo(toAll('1'), transactional);
    expect(shardsThat(outcomes, 'unavailable')).toEqual(dead);
    for (const shard of dead) expect(outcomes.get(shard)).toMatchObject({ scope: 'partition' });
    expect(shardsThat(outcomes, 'rolled-back')).toEqual(others(dead));
    expect(took).toBeLessThan(3_000);
    await transactional.open(topic, signal);
    const again = await sendTo(
      toAll('2').filter(({ shard }) => !dead.includes(shard)),
      transactional,
    );
    expect(shardsThat(again.outcomes, 'acknowledged')).toEqual(others(dead));
    await transactional.close();
  });
});

test('partitions with too few replicas are given up, the others are written', async () => {
  await create(2, 2);
  await publisher.send(toAll('0'));
  const partitions = await cluster.admin.partitions(topic);
  const short = partitions.filter(({ replicas }) => replicas.includes(3)).map(({ partition }) => partition);
  await cluster.node(3).kill('SIGKILL');
  await vi.waitFor(
    async () => {
      const now = await cluster.admin.partitions(topic);
      expect(now.filter(({ inSync }) => inSync.includes(3))).toEqual([]);
      // On a slow machine another replica may fall behind for a while.
      expect(now.filter(({ inSync }) => inSync.length < 2).map(({ partition }) => partition)).toEqual(short);
    },
    { timeout: 60_000, interval: 100 },
  );
  const { took, outcomes } = await sendTo(toAll('1'));
  expect(shardsThat(outcomes, 'acknowledged')).toEqual(others(short));
  expect(shardsThat(outcomes, 'unavailable')).toEqual(short);
  for (const shard of short) expect(outcomes.get(shard)).toMatchObject({ scope: 'partition' });
  expect(took).toBeLessThan(3_000);
});

test('leaders move: nothing is lost, nothing comes out of order', async () => {
  await create(3, 2);
  const next = new Map(toAll('').map(({ shard }) => [shard, 0]));
  let moving = true;
  const moves = (async () => {
    for (let move = 0; move < 3; move += 1) await cluster.admin.moveLeaders(topic);
    moving = false;
  })();
  let rounds = 0;
  while (moving || rounds < 10) {
    rounds += 1;
    const records = toAll('').flatMap((one) => {
      const from = next.get(one.shard) ?? 0;
      return [0, 1, 2].map((step) => ({ ...one, payload: String(from + step) }));
    });
    const outcomes = await publisher.send(records);
    for (const [index, { shard, payload }] of records.entries()) {
      if (outcomes[index]?.kind === 'acknowledged') next.set(shard, Number(payload) + 1);
    }
    await delay(5);
  }
  await moves;
  for (const [shard, values] of await written()) {
    const first = [...new Set(values)];
    // What was given up last may be written, too.
    expect(first.length, `partition ${shard}`).toBeGreaterThanOrEqual(next.get(shard) ?? 0);
    expect(first, `partition ${shard}`).toEqual(first.map((_, index) => `${index}`));
  }
});

test('while the whole cluster is away a send stays pending, and is written once when it is back', async () => {
  await create(3, 2);
  await publisher.send(toAll('0'));
  for (const node of cluster.nodes) node.freeze();
  const stalled = Promise.withResolvers<string>();
  let done = false;
  const sending = publisher.send(toAll('1'), { onStalled: stalled.resolve }).finally(() => (done = true));
  await stalled.promise;
  await delay(2_000);
  expect(done).toBe(false);
  for (const node of cluster.nodes) node.thaw();
  expect((await sending).map(({ kind }) => kind)).toEqual(toAll('').map(() => 'acknowledged'));
  expect(await written()).toEqual(new Map(toAll('').map(({ shard }) => [shard, ['0', '1']])));
});
