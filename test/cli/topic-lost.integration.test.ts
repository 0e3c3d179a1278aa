import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { Admin } from '@platformatic/kafka';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished, vi } from 'vitest';
import type { SessionId } from '../../src/genesis/ids.ts';
import { createCommandStore } from '../../src/postgres/command-store.ts';
import { submitFeedback, updateSession } from '../genesis/given.ts';
import { startTopicRig, type TopicRig } from '../operations/topic-rig.ts';
import { readTopic } from '../relay/read-topic.ts';
import { accepted, groupCommit, request } from '../support/commands.ts';
import { genesis, startGenesis } from './genesis.ts';

const PATIENCE = { timeout: 60_000, interval: 50 };

// docs/operations/backup.md, "The topic is lost": its steps, in their order.
describe('the topic is lost', { timeout: 300_000 }, () => {
  const anew = `anew-${randomUUID()}`;
  let rig: TopicRig;
  let admin: Admin;
  beforeAll(async () => {
    rig = await startTopicRig(inject('brokers'));
    admin = new Admin({ clientId: 'test-admin', bootstrapBrokers: [...inject('brokers')] });
  });
  afterAll(async () => {
    await admin.close();
    await rig.stop();
  });

  const env = (topic: string) => ({
    NODE_ENV: 'production',
    DATABASE_URL: rig.url,
    KAFKA_BROKERS: inject('brokers').join(','),
    KAFKA_REPLICATION: '1',
    KAFKA_TOPIC: topic,
  });

  function startRelay(topic: string) {
    const relay = startGenesis(env(topic), 'relay');
    relay.stdout.resume();
    onTestFinished(() => void relay.kill('SIGKILL'));
    return { relay, ended: once(relay, 'exit') };
  }

  /** Runs a relay until the rows are these. */
  async function drain(topic: string, left: object): Promise<void> {
    const { relay, ended } = startRelay(topic);
    relay.stderr.resume();
    await vi.waitFor(async () => expect(await statuses()).toEqual(left), PATIENCE);
    relay.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  }

  async function statuses(): Promise<object> {
    const { rows } = await rig.pool.query<{ status: string; n: number }>(
      'SELECT status, count(*)::integer AS n FROM event_outbox GROUP BY status',
    );
    return Object.fromEntries(rows.map(({ status, n }) => [status, n]));
  }

  /** `genesis reconcile`, and what `genesis verify` looks at. */
  async function agree(): Promise<void> {
    expect(await genesis(env(anew), 'reconcile')).toMatchObject({
      code: 0,
      out: expect.stringContaining('topic and database agree') as unknown,
    });
    expect(await rig.findings()).toEqual([]);
  }

  const becomes = (status: string, session: SessionId, sequence: number) =>
    rig.pool.query(`UPDATE event_outbox SET status = $1, last_error = 'x' WHERE key = $2 AND sequence = $3`, [
      status,
      session,
      sequence,
    ]);

  it('a relay does not make it anew', async () => {
    await rig.session(updateSession());
    await rig.session(updateSession(), submitFeedback());
    await drain(rig.kafka.topic, { SENT: 5 });
    const [failed, discarded] = [await rig.session(updateSession()), await rig.session(updateSession())];
    await becomes('FAILED', failed, 1);
    await becomes('DISCARDED', discarded, 2);
    await admin.deleteTopics({ topics: [rig.kafka.topic] });
    await vi.waitFor(async () => expect(await admin.listTopics()).not.toContain(rig.kafka.topic), PATIENCE);
    const { relay, ended } = startRelay(rig.kafka.topic);
    const late = setTimeout(() => relay.kill('SIGKILL'), PATIENCE.timeout);
    const said = await text(relay.stderr);
    expect(await ended).toEqual([1, null]);
    clearTimeout(late);
    expect(said).toContain(`topic ${rig.kafka.topic} is missing, though events were published to it: see that`);
    expect(await admin.listTopics()).not.toContain(rig.kafka.topic);
  });

  it('everything is published to a new one, also what was not published yet, and nothing of it twice', async () => {
    const published = await genesis(env(rig.kafka.topic), 'republish', '--to-topic', anew, '--all', '--yes');
    expect(published.out).toMatch(/\n9 events sent in /u);
    const marked = await genesis(env(anew), 'recover', '--from-topic', '--yes');
    expect(marked).toMatchObject({ code: 0 });
    expect(marked.out).toContain('9 records read; 0 events and 0 commands imported');
    expect(await statuses()).toEqual({ SENT: 8, DISCARDED: 1 });
    await agree();
    const next = groupCommit(createCommandStore(rig.pool), { destination: { topic: anew, shards: 8 } });
    await next.start();
    onTestFinished(() => next.stop());
    for (const { key } of (await rig.pool.query<{ key: SessionId }>('SELECT DISTINCT key FROM event_outbox')).rows)
      accepted(await next.execute(request(submitFeedback(), { sessionId: key })));
    await drain(anew, { SENT: 12, DISCARDED: 1 });
    const { rows: holds } = await rig.pool.query('SELECT FROM event_outbox_holds');
    expect(holds).toEqual([]);
  });

  it('and then topic and tables agree', async () => {
    const versions = new Map<string, number[]>();
    for (const { key, headers } of await readTopic(inject('brokers'), anew))
      versions.set(key, [...(versions.get(key) ?? []), Number(headers['sequence'])]);
    const upTo = (n: number) => Array.from({ length: n }, (_, index) => index + 1);
    expect([...versions.values()].toSorted((a, b) => a.length - b.length)).toEqual([3, 3, 3, 4].map(upTo));
    await agree();
    expect(await admin.listTopics()).not.toContain(rig.kafka.topic);
  });
});
