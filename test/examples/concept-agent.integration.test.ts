import { randomUUID } from 'node:crypto';
import { Consumer, Producer, stringDeserializer, stringSerializers, type Message } from '@platformatic/kafka';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished, vi } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { ENVELOPE } from './a-record.ts';
import { Rig, type Program } from './agent-rig.ts';

const SHARDS = 8;

/** A rig with a database and a topic of its own. */
function aRig(options: { readonly generationTimeout?: number } = {}) {
  const topic = `agent-${randomUUID()}`;
  let database: TestDatabase;
  let rig: Rig;
  beforeAll(async () => {
    database = await createTestDatabase();
    rig = new Rig({ databaseUrl: database.url, brokers: inject('brokers'), topic, ...options });
    await rig.startGenesis();
  });
  afterAll(async () => {
    await rig.stop();
    await database.drop();
  });
  return { topic, rig: () => rig };
}

const newGroup = () => ({ AGENT_GROUP: `group-${randomUUID()}` });
const stopAfterTest = (agent: Program) => onTestFinished(async () => void (await agent.stop()));

describe('a request and the agent', () => {
  const { rig } = aRig();

  it('waits while no agent runs, repeats are refused, and is answered once one runs', { timeout: 60_000 }, async () => {
    const sessionId = await rig().ask();
    const { id } = await rig().requestOf(sessionId);
    await rig().hasEvents(sessionId, 'Requested');
    for (let repeat = 0; repeat < 3; repeat += 1) {
      expect(await rig().requestConcepts(sessionId)).toMatchObject({
        status: 409,
        body: { error_code: 'DUPLICATE_COMMAND', duplicate_command_id: id },
      });
    }
    expect(await rig().requestOf(sessionId)).toMatchObject({ status: 'PROCESSING' });

    stopAfterTest(await rig().startAgent(newGroup()));
    await rig().hasEvents(sessionId, 'Requested', 'Proposed');
    expect(await rig().requestOf(sessionId)).toEqual({ id, status: 'COMPLETED', error_message: null });
    expect(await rig().requestConcepts(sessionId)).toMatchObject({ status: 202 });
    await rig().hasEvents(sessionId, 'Requested', 'Proposed', 'Requested', 'Proposed');
  });

  it('is answered once though the agent is killed between answer and commit', { timeout: 90_000 }, async () => {
    const group = newGroup();
    const killed = await rig().startAgent({ ...group, AGENT_COMMIT_INTERVAL: '3600' });
    const sessionId = await rig().ask();
    await rig().hasEvents(sessionId, 'Requested', 'Proposed');
    const { request } = await killed.said('answered a request');
    await killed.stop('SIGKILL');

    const next = await rig().startAgent(group);
    stopAfterTest(next);
    // It reads the request again.
    await vi.waitFor(() => {
      const again = next.lines.filter((line) => line['request'] === request);
      expect(again).toMatchObject([{ delivery: 'too late' }]);
    }, 60_000);
    const other = await rig().ask();
    await rig().hasEvents(other, 'Requested', 'Proposed');
    expect(await rig().eventsOf(sessionId)).toEqual(['Requested', 'Proposed']);
  });

  it('is read no more by the next agent once it is committed', { timeout: 60_000 }, async () => {
    const group = newGroup();
    const first = await rig().startAgent(group);
    const sessionId = await rig().ask();
    await rig().hasEvents(sessionId, 'Requested', 'Proposed');
    expect(await first.stop()).toBe(0);

    const second = await rig().startAgent(group);
    stopAfterTest(second);
    const other = await rig().ask();
    await rig().hasEvents(other, 'Requested', 'Proposed');
    await second.said('answered a request');
    expect(second.lines.filter((line) => line['delivery'] !== undefined)).toMatchObject([{ session: other }]);
  });

  it('is left to the next agent when this one stops in the middle, within 5 s', { timeout: 60_000 }, async () => {
    const group = newGroup();
    const slow = await rig().startAgent({ ...group, AGENT_DELAY: '3600' });
    const sessionId = await rig().ask();
    await slow.said('making concepts');
    // Events behind it on the same partition are dealt with: they must not be committed.
    await rig().updateSession(sessionId);
    await rig().hasEvents(sessionId, 'Requested', 'Updated');
    const began = performance.now();
    expect(await slow.stop()).toBe(0);
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(await rig().requestOf(sessionId)).toMatchObject({ status: 'PROCESSING' });

    stopAfterTest(await rig().startAgent(group));
    await rig().hasEvents(sessionId, 'Requested', 'Updated', 'Proposed');
  });

  it('is answered once, whichever agents join and leave meanwhile', { timeout: 120_000 }, async () => {
    const group = { ...newGroup(), AGENT_DELAY: '0.3', AGENT_CONCURRENCY: '4' };
    const first = await rig().startAgent(group);
    await first.said('reading');
    const sessions = await Promise.all(Array.from({ length: 60 }, () => rig().ask()));
    const second = await rig().startAgent(group);
    stopAfterTest(second);
    await second.said('answered a request');
    await first.stop();
    for (const sessionId of sessions) await rig().hasEvents(sessionId, 'Requested', 'Proposed');
  });

  it('is answered when the API is back after an outage', { timeout: 90_000 }, async () => {
    const sessionId = await rig().ask();
    await rig().hasEvents(sessionId, 'Requested');
    await rig().stopGenesis();
    const agent = await rig().startAgent(newGroup());
    stopAfterTest(agent);
    const { error } = await agent.said('trying again');
    expect(error).toContain('ECONNREFUSED');
    await rig().startGenesis();
    await rig().hasEvents(sessionId, 'Requested', 'Proposed');
  });
});

describe('a request that nobody answers', () => {
  const { rig } = aRig({ generationTimeout: 1 });

  it('fails with an event when its time is over, and a late agent changes nothing', { timeout: 60_000 }, async () => {
    const sessionId = await rig().ask();
    await rig().hasEvents(sessionId, 'Requested', 'Failed');
    expect(await rig().requestOf(sessionId)).toMatchObject({ status: 'FAILED', error_message: 'DEADLINE_EXCEEDED' });

    const agent = await rig().startAgent(newGroup());
    stopAfterTest(agent);
    expect(await agent.said('nobody waits')).toMatchObject({ session: sessionId });
    expect(await rig().eventsOf(sessionId)).toEqual(['Requested', 'Failed']);
    expect(await rig().requestConcepts(sessionId)).toMatchObject({ status: 202 });
    await rig().hasEvents(sessionId, 'Requested', 'Failed', 'Requested', 'Proposed');
  });
});

describe('poison', () => {
  const { rig, topic } = aRig();

  /** The next `count` records of the dead letter topic. */
  async function readLetters(count: number): Promise<readonly Message<Buffer, Buffer, string, string>[]> {
    const consumer = new Consumer<Buffer, Buffer, string, string>({
      clientId: 'test',
      bootstrapBrokers: inject('brokers'),
      groupId: `reader-${randomUUID()}`,
      deserializers: {
        headerKey: (bytes) => stringDeserializer(bytes) ?? '',
        headerValue: (bytes) => stringDeserializer(bytes) ?? '',
      },
    });
    try {
      const stream = await consumer.consume({ topics: [`${topic}.dlq`], mode: 'earliest', autocommit: false });
      const letters: Message<Buffer, Buffer, string, string>[] = [];
      for await (const letter of stream) if (letters.push(letter) === count) break;
      return letters;
    } finally {
      await consumer.close(true);
    }
  }

  it(
    'goes to the dead letter topic as it was, with the reason, and the partition goes on',
    { timeout: 90_000 },
    async () => {
      const producer = new Producer<string, string, string, string>({
        clientId: 'test',
        bootstrapBrokers: inject('brokers'),
        serializers: stringSerializers,
        strict: true,
      });
      onTestFinished(() => producer.close());
      const unknownSession = JSON.stringify(ENVELOPE);
      const poison = Array.from({ length: SHARDS }, (_value, partition) => [
        { topic, partition, key: 'any', value: 'no event at all', headers: { 'x-from': 'elsewhere' } },
        { topic, partition, key: 'any', value: unknownSession.replace(ENVELOPE.event_id, randomUUID()) },
      ]);
      await producer.send({ messages: poison.flat() });
      const sessionId = await rig().ask();

      const agent = await rig().startAgent(newGroup());
      stopAfterTest(agent);
      await rig().hasEvents(sessionId, 'Requested', 'Proposed');
      const letters = await readLetters(2 * SHARDS);
      const unreadable = letters.filter(({ value }) => value.toString() === 'no event at all');
      expect(new Set(unreadable.map(({ headers }) => headers.get('dlq-partition')))).toHaveProperty('size', SHARDS);
      expect(Object.fromEntries(unreadable[0]?.headers ?? [])).toMatchObject({
        'x-from': 'elsewhere',
        'dlq-error': 'PoisonError: the value is not JSON in UTF-8',
        'dlq-topic': topic,
        'dlq-offset': '0',
      });
      const refused = letters.filter(({ value }) => value.toString() !== 'no event at all');
      expect(refused).toHaveLength(SHARDS);
      expect(refused[0]?.key.toString()).toBe('any');
      expect(refused[0]?.headers.get('dlq-error')).toContain('SESSION_NOT_FOUND');
    },
  );
});
