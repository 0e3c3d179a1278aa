import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import type { KafkaConfig } from '../../src/config.ts';
import { CommittedRecords } from '../../src/kafka/committed-records.ts';
import { KafkaPublisher } from '../../src/kafka/publisher.ts';
import { makeSideTopic, partitionsOf } from '../../src/kafka/side-topic.ts';
import { readWritten, republish, type RepublishOptions, type Written } from '../../src/operations/republish.ts';
import { shardOf } from '../../src/outbox/shard.ts';
import { createRepublishStore } from '../../src/postgres/operations-republish.ts';
import type { OutgoingRecord, Publisher } from '../../src/relay/ports.ts';
import { request } from '../support/commands.ts';
import { submitFeedback, updateSession } from '../genesis/given.ts';
import { readTopic, type LoggedRecord } from '../relay/read-topic.ts';
import { startTopicRig, type TopicRig } from './topic-rig.ts';

describe('genesis republish', () => {
  let rig: TopicRig;
  let side: KafkaConfig;
  let publisher: KafkaPublisher;
  beforeEach(async () => {
    rig = await startTopicRig(inject('brokers'));
    side = { brokers: inject('brokers'), topic: `side-${randomUUID()}`, replication: 1 };
    publisher = new KafkaPublisher(side);
  });
  afterEach(async () => {
    await publisher.close();
    await rig.stop();
  });

  const everything = { sessionId: null, since: null, until: null };

  async function run(options: Partial<RepublishOptions> = {}) {
    const partitions = options.partitions ?? 3;
    if ((await partitionsOf(side)) === null) await makeSideTopic(side, partitions);
    return republish({
      store: createRepublishStore(rig.pool),
      publisher,
      selection: everything,
      topic: side.topic,
      partitions,
      written: new Map(),
      onProgress: () => undefined,
      onOutage: () => undefined,
      signal: new AbortController().signal,
      ...options,
    });
  }

  async function written(): Promise<Written> {
    const topic = new CommittedRecords(side);
    try {
      return await readWritten(topic);
    } finally {
      await topic.close();
    }
  }

  const sideLog = () => readTopic(side.brokers, side.topic);
  /** Records without their places, those of one session together in their order. */
  const streams = (records: readonly Pick<LoggedRecord, 'key' | 'value' | 'headers'>[]) =>
    Map.groupBy(
      records.map(({ key, value, headers }) => ({ key, value, headers })),
      ({ key }) => key,
    );

  it('writes the whole log anew: the same keys, bytes and headers, where the new topic has them', async () => {
    for (let n = 0; n < 10; n += 1) await rig.session(updateSession(), submitFeedback());
    await rig.commands.execute({ ...request({ type: 'CreateSession', payload: {} }), traceparent: '00-a-b-01' });
    await rig.publish();
    expect(await run()).toEqual({ sent: 31, passed: 0 });
    const log = await sideLog();
    expect(streams(log)).toEqual(streams(await readTopic(rig.kafka.brokers, rig.kafka.topic)));
    expect(log.filter(({ key, partition }) => shardOf(key, 3) !== partition)).toEqual([]);
    expect(log.some(({ headers }) => headers['traceparent'] === '00-a-b-01')).toBe(true);
  });

  it('writes what was never published, too, and discarded events as markers', async () => {
    const id = await rig.session(updateSession(), submitFeedback());
    await rig.pool.query(`UPDATE event_outbox SET status = 'DISCARDED' WHERE key = $1 AND sequence = 2`, [id]);
    await run();
    const topic = new CommittedRecords(side);
    const records = [];
    for (const { partition, end } of await topic.ranges())
      for await (const some of topic.read(partition, 0n, end)) records.push(...some);
    await topic.close();
    expect(
      records.map(({ value, headers }) => [headers.get('sequence'), value === null, headers.get('discarded')]),
    ).toEqual([
      ['1', false, undefined],
      ['2', true, 'true'],
      ['3', false, undefined],
    ]);
    const ids = records.map(({ headers }) => headers.get('ce_id'));
    expect(records.map(({ headers }) => headers.get('previous'))).toEqual([undefined, ids[0], ids[1]]);
  });

  it('writes one session, or a time, each event with the one before it as it was', async () => {
    const first = await rig.session(updateSession());
    const { rows } = await rig.pool.query<{ now: Date }>(`SELECT clock_timestamp() + interval '1 millisecond' AS now`);
    const since = rows[0]?.now.getTime() ?? Number.NaN;
    await expect.poll(() => Date.now()).toBeGreaterThan(since + 1);
    await rig.send(first, submitFeedback());
    const second = await rig.session();
    const store = createRepublishStore(rig.pool);
    expect(await store.count({ ...everything, since })).toBe(2);
    expect(await store.count({ ...everything, until: since })).toBe(2);
    expect(await store.count({ ...everything, sessionId: second })).toBe(1);
    expect(await run({ selection: { ...everything, since } })).toEqual({ sent: 2, passed: 0 });
    const { rows: events } = await rig.pool.query<{ id: string }>(
      'SELECT event_id AS id FROM domain_events WHERE aggregate_id = $1 ORDER BY aggregate_version',
      [first],
    );
    const found = (await sideLog()).find(({ key }) => key === first);
    expect(found?.headers).toMatchObject({ sequence: '3', previous: events[1]?.id, ce_id: events[2]?.id });
    expect(await run({ selection: { ...everything, sessionId: second, until: since } })).toEqual({
      sent: 0,
      passed: 0,
    });
    expect(await run({ selection: { ...everything, sessionId: first } })).toEqual({ sent: 3, passed: 0 });
  });

  it('goes on where it was ended, though one partition had come further than another', async () => {
    for (let n = 0; n < 12; n += 1) await rig.session(updateSession());
    await makeSideTopic(side, 3);
    const ended = new AbortController();
    // Of the one page only what goes to partition 1 and half of partition 2 is written; then the process ends.
    const cut: Publisher = {
      async send(records) {
        const two = records.filter(({ shard }) => shard === 2);
        const some = [...records.filter(({ shard }) => shard === 1), ...two.slice(0, two.length / 2)];
        await publisher.send(some);
        ended.abort(new Error('ended'));
        return records.map(() => ({ kind: 'unavailable', scope: 'cluster', error: 'cut' }));
      },
      close: () => Promise.resolve(),
    };
    await expect(run({ publisher: cut, signal: ended.signal })).rejects.toThrow('ended');
    const before = (await sideLog()).length;
    expect(await run({ written: await written() })).toEqual({ sent: 24 - before, passed: before });
    await rig.publish();
    expect(streams(await sideLog())).toEqual(streams(await readTopic(rig.kafka.brokers, rig.kafka.topic)));
    expect(await run({ written: await written() })).toMatchObject({ sent: 0 });
  });

  it('sends again, in order, what was not acknowledged', async () => {
    await rig.session(updateSession());
    await rig.session(updateSession());
    const told: string[] = [];
    let tries = 0;
    const shaky: Publisher = {
      async send(records) {
        tries += 1;
        if (tries > 1) return publisher.send(records);
        const down = (record: OutgoingRecord) => record.shard === records[0]?.shard;
        const outcomes = await publisher.send(records.filter((record) => !down(record)));
        let next = 0;
        return records.map((record) => {
          const fallback = { kind: 'unavailable', scope: 'partition', error: 'no leader' } as const;
          return down(record) ? fallback : (outcomes[next++] ?? fallback);
        });
      },
      close: () => Promise.resolve(),
    };
    expect(await run({ publisher: shaky, onOutage: (error) => told.push(error) })).toEqual({ sent: 4, passed: 0 });
    expect(told).toEqual(['no leader']);
    await rig.publish();
    expect(streams(await sideLog())).toEqual(streams(await readTopic(rig.kafka.brokers, rig.kafka.topic)));
  });

  it('ends when the broker refuses a record for good', async () => {
    await rig.session();
    const refusing: Publisher = {
      send: (records) => Promise.resolve(records.map(() => ({ kind: 'refused', error: 'MESSAGE_TOO_LARGE' }))),
      close: () => Promise.resolve(),
    };
    await expect(run({ publisher: refusing })).rejects.toThrow(/refuses event \S+ of session \S+: MESSAGE_TOO_LARGE/u);
  });

  it('knows the live topic, and takes no topic of somebody else for its own', async () => {
    const store = createRepublishStore(rig.pool);
    expect(await store.isLive(rig.kafka.topic)).toBe(false);
    await rig.session();
    expect([await store.isLive(rig.kafka.topic), await store.isLive(side.topic)]).toEqual([true, false]);
    await makeSideTopic(side, 3);
    expect(await written()).toEqual(new Map());
    await rig.write([{ key: 'hello', partition: 0, value: 'world', headers: {} }], side.topic);
    await expect(written()).rejects.toThrow('offset 0 of partition 0 is no event');
  });
});
