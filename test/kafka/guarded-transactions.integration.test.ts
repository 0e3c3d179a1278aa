import { randomUUID } from 'node:crypto';
import { AclOperations, AclPermissionTypes, Admin, ResourcePatternTypes, ResourceTypes } from '@platformatic/kafka';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, test, vi } from 'vitest';
import type { SessionId } from '../../src/genesis/ids.ts';
import { CommittedRecords } from '../../src/kafka/committed-records.ts';
import { KafkaTopicReader } from '../../src/kafka/topic-reader.ts';
import { ensureTopic } from '../../src/kafka/topic.ts';
import { KafkaTransactionalPublisher } from '../../src/kafka/transactional-publisher.ts';
import type { OutgoingRecord } from '../../src/relay/ports.ts';
import { startGuardedBroker, type GuardedBroker } from './guarded-broker.ts';
import { startOneWayProxy, type OneWayProxy } from './one-way-proxy.ts';

const { signal } = new AbortController();
let broker: GuardedBroker;
let link: OneWayProxy;
let admin: Admin;
let topic: string;
let publisher: KafkaTransactionalPublisher;

beforeAll(async () => {
  broker = await startGuardedBroker({
    async through(port) {
      link = await startOneWayProxy(port);
      return link.port;
    },
  });
  admin = new Admin({ clientId: 'test-admin', bootstrapBrokers: [...broker.admin] });
  // The first transaction of a cluster waits for the topic of transactions to be made.
  const first = new KafkaTransactionalPublisher({ brokers: broker.admin, topic: 'none' }, { deliveryDeadline: 60_000 });
  await first.open('first', signal);
  await first.close();
});

afterAll(async () => {
  await admin.close();
  await link.close();
  await broker.remove();
});

beforeEach(async () => {
  topic = `rights-test-${randomUUID()}`;
  await ensureTopic({ brokers: broker.admin, topic }, { partitions: 2, replicationFactor: 1, minInsyncReplicas: 1 });
  publisher = new KafkaTransactionalPublisher({ ...broker.relay, topic }, { deliveryDeadline: 1_000 });
});
afterEach(() => publisher.close());

async function grant(transactionalIds: string | null): Promise<void> {
  const acl = (resourceType: number, resourceName: string, operation: keyof typeof AclOperations) => ({
    ...{ resourceType: resourceType as 2, resourceName, principal: 'User:relay', host: '*' },
    resourcePatternType: ResourcePatternTypes[resourceType === ResourceTypes.TOPIC ? 'LITERAL' : 'PREFIXED'],
    ...{ operation: AclOperations[operation], permissionType: AclPermissionTypes.ALLOW },
  });
  const ids = transactionalIds;
  const onTopic = (['READ', 'WRITE', 'DESCRIBE'] as const).map((right) => acl(ResourceTypes.TOPIC, topic, right));
  const onIds = (['WRITE', 'DESCRIBE'] as const).map((right) => acl(ResourceTypes.TRANSACTIONAL_ID, ids ?? '', right));
  await admin.createAcls({ creations: ids === null ? onTopic : [...onTopic, ...onIds] });
}

function record(shard: number, payload: string): OutgoingRecord {
  const headers = { ce_id: payload, sequence: '1' };
  return { topic, key: `session-${shard}` as SessionId, shard, payload, headers };
}

async function committed(): Promise<(string | null)[]> {
  const reader = new CommittedRecords({ brokers: broker.admin, topic });
  const values: (string | null)[] = [];
  for (const { partition, first, end } of await reader.ranges()) {
    for await (const chunk of reader.read(partition, first, end)) values.push(...chunk.map(({ value }) => value));
  }
  await reader.close();
  return values;
}

test('rights on the topic and on a prefix of transactional ids are all that exactly-once delivery needs', async () => {
  await grant('genesis-');
  await publisher.open(`genesis-${topic}-1`, signal);
  await publisher.fence(`genesis-${topic}-0`, signal);
  expect(await publisher.send([record(0, 'a'), record(1, 'b')])).toMatchObject([
    { kind: 'acknowledged' },
    { kind: 'acknowledged' },
  ]);
  const reader = new KafkaTopicReader({ ...broker.relay, topic });
  await expect.poll(() => reader.last(1, signal)).toMatchObject({ eventId: 'b', offset: '0' });
  await reader.close();
});

test('a transactional id that may not be used is told by the broker’s words', async () => {
  await grant(null);
  await expect(publisher.open('somebody-else', signal)).rejects.toThrow(
    /^transactional id somebody-else cannot be had: TRANSACTIONAL_ID_AUTHORIZATION_FAILED/u,
  );
});

test('a topic that may not be written is an outage of the topic, and nothing is committed', async () => {
  await grant('genesis-');
  const other = `forbidden-${topic}`;
  await ensureTopic(
    { brokers: broker.admin, topic: other },
    { partitions: 1, replicationFactor: 1, minInsyncReplicas: 1 },
  );
  await publisher.open(`genesis-${topic}`, signal);
  const outcomes = await publisher.send([record(0, 'a'), { ...record(0, 'b'), topic: other }]);
  expect(outcomes[1]).toMatchObject({ kind: 'unavailable', scope: 'topic' });
  expect(await committed()).toEqual([]);
});

describe('when the answer to the commit is lost', () => {
  beforeEach(async () => {
    await grant('genesis-');
    await publisher.open(`genesis-${topic}`, signal);
  });

  it('and comes after all, it counts', async () => {
    const patient = new KafkaTransactionalPublisher({ ...broker.relay, topic });
    await patient.open(`genesis-${topic}`, signal);
    const sending = patient.send([record(0, 'a'), record(1, 'b')], {
      beforeCommit: () => Promise.resolve(link.loseAnswers()),
    });
    const before = link.lost();
    await vi.waitFor(() => expect(link.lost()).toBeGreaterThan(before), { timeout: 10_000, interval: 1 });
    link.heal();
    expect(await sending).toMatchObject([{ kind: 'acknowledged' }, { kind: 'acknowledged' }]);
    await patient.close();
    expect(await committed()).toEqual(['a', 'b']);
  });

  it('and does not come in time, what happened is unknown, and is all or nothing', async () => {
    const told: string[] = [];
    const outcomes = await publisher.send([record(0, 'a'), record(1, 'b')], {
      onStalled: (error) => told.push(error),
      beforeCommit: () => Promise.resolve(link.loseAnswers()),
    });
    const unknown = {
      ...{ kind: 'unavailable', scope: 'cluster' },
      error: expect.stringContaining('whether the transaction was committed is unknown') as string,
    };
    expect(outcomes).toEqual([unknown, unknown]);
    expect(told).toHaveLength(1);
    link.heal();
    await publisher.open(`genesis-${topic}`, signal);
    expect(await committed()).toEqual(['a', 'b']);
    expect(await publisher.send([record(0, 'c')])).toMatchObject([{ kind: 'acknowledged' }]);
  });
});

test('a send that does not get through ends at its deadline, and nothing of it is committed', async () => {
  await grant('genesis-');
  await publisher.open(`genesis-${topic}`, signal);
  link.loseAnswers();
  const stalled: string[] = [];
  const outcomes = await publisher.send([record(0, 'a')], { onStalled: (error) => stalled.push(error) });
  expect(outcomes).toMatchObject([{ kind: 'unavailable', scope: 'cluster' }]);
  expect(stalled).toHaveLength(1);
  link.heal();
  await publisher.open(`genesis-${topic}`, signal);
  expect(await committed()).toEqual([]);
  expect(await publisher.send([record(0, 'a')])).toMatchObject([{ kind: 'acknowledged' }]);
});

test('a close ends a pending send within a second', async () => {
  await grant('genesis-');
  await publisher.open(`genesis-${topic}`, signal);
  link.loseAnswers();
  const sending = publisher.send([record(0, 'a')]);
  const began = performance.now();
  await publisher.close();
  expect(await sending).toMatchObject([{ kind: 'unavailable' }]);
  expect(performance.now() - began).toBeLessThan(1_000);
  link.heal();
});
