import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest';
import { KafkaPublisher } from '../../src/kafka/publisher.ts';
import type { DeliveryMode } from '../../src/relay/ports.ts';
import type { Relay } from '../../src/relay/relay.ts';
import { limitMessageBytes } from '../kafka/limit-message-bytes.ts';
import { createRelayRig, sessions, upTo, versionsBySession, type RelayRig, type TestEvent } from './relay-rig.ts';

let rig: RelayRig;

beforeEach(async () => {
  rig = await createRelayRig(inject('brokers'));
});

afterEach(async () => {
  await rig.close();
});

const PATIENCE = { timeout: 25_000, interval: 10 };
const ALL_SHARDS = [0, 1, 2, 3, 4, 5, 6, 7];

async function untilSent(count: number): Promise<void> {
  await vi.waitFor(async () => expect((await rig.statuses())['SENT']).toBe(count), PATIENCE);
}

/** Versions 1 … `versions` of each session, sessions in turn. */
function events(keys: readonly string[], versions: number): TestEvent[] {
  return upTo(versions).flatMap((sequence) => keys.map((session) => ({ session, sequence })));
}

test('5,000 events of 50 sessions arrive once each, in the order of their session', async () => {
  const keys = sessions(50);
  await rig.insert(events(keys, 100));
  const told: number[] = [];
  const relay = rig.relay({ onPublished: ({ row }) => told.push(row.id) });
  await relay.start();
  await untilSent(5_000);
  await relay.stop();
  const log = await rig.log();
  expect(log).toHaveLength(5_000);
  const versions = versionsBySession(log);
  for (const key of keys) expect(versions.get(key)).toEqual(upTo(100));
  expect(told).toHaveLength(5_000);
  expect(relay.status()).toMatchObject({ state: 'stopped', published: 5_000, failed: 0, lastError: null });
});

test('a SENT row says where its record lies', async () => {
  await rig.insert(events(sessions(9), 20));
  const relay = rig.relay();
  await relay.start();
  await untilSent(180);
  const places = new Map((await rig.log()).map((one) => [one.headers['ce_id'], `${one.partition}/${one.offset}`]));
  const { rows } = await rig.database.query<{ ce_id: string; place: string }>(
    `SELECT headers->>'ce_id' AS ce_id, partition || '/' || "offset" AS place FROM event_outbox`,
  );
  expect(new Map(rows.map(({ ce_id, place }) => [ce_id, place]))).toEqual(places);
});

test('the record carries key, value, headers and the time of sending', async () => {
  const [session = ''] = sessions(1);
  const before = Date.now();
  await rig.insert([{ session, sequence: 1, payload: '{"title":"长夜 🌙"}' }]);
  await rig.database.query('ALTER TABLE event_outbox DISABLE TRIGGER USER');
  await rig.database.query("UPDATE event_outbox SET created_at = now() - interval '1 day'");
  const relay = rig.relay();
  await relay.start();
  await untilSent(1);
  const [record] = await rig.log();
  expect(record).toMatchObject({
    key: session,
    value: '{"title":"长夜 🌙"}',
    headers: { sequence: '1' },
  });
  expect(record?.timestamp).toBeGreaterThanOrEqual(before);
});

test('a message that is too large fails after 1, 2 and 4 seconds and holds its session; the others flow', async () => {
  await limitMessageBytes(rig.kafka, 20_000);
  const keys = sessions(12);
  const [large = ''] = keys;
  const all = events(keys, 10).map((event) =>
    event.session === large && event.sequence === 4 ? { ...event, payload: 'x'.repeat(30_000) } : event,
  );
  await rig.insert(all);
  const relay = rig.relay();
  await relay.start();
  await untilSent(113);
  const flowedAfter = Date.now();
  await vi.waitFor(async () => expect((await rig.statuses())['FAILED']).toBe(1), PATIENCE);
  // Three delays came after the others had gone on.
  expect(Date.now() - flowedAfter).toBeGreaterThan(4_000);
  expect(await rig.statuses()).toEqual({ SENT: 113, FAILED: 1, PENDING: 6 });
  const { rows } = await rig.database.query(
    "SELECT sequence, retry_count, last_error FROM event_outbox WHERE status = 'FAILED'",
  );
  expect(rows).toEqual([
    { sequence: 4, retry_count: 3, last_error: expect.stringContaining('MESSAGE_TOO_LARGE') as string },
  ]);

  await limitMessageBytes(rig.kafka, 1_000_000);
  await rig.database.query("UPDATE event_outbox SET status = 'PENDING' WHERE status = 'FAILED'");
  rig.wakeup.notify();
  await untilSent(120);
  const versions = versionsBySession(await rig.log());
  for (const key of keys) expect(versions.get(key)).toEqual(upTo(10));
});

/** Sequence of each record, and whether it is a marker. */
async function recordsOf(session: string): Promise<string[]> {
  const own = (await rig.log()).filter(({ key }) => key === session);
  return own.map(
    ({ headers, value }) => `${headers['sequence']}${headers['discarded'] === 'true' ? ` marker ${value}` : ''}`,
  );
}

test('a discarded row goes out as a marker in its place, and frees its successors', async () => {
  await limitMessageBytes(rig.kafka, 20_000);
  const [session = ''] = sessions(1);
  await rig.insert([
    { session, sequence: 1, payload: 'x'.repeat(30_000) },
    { session, sequence: 2 },
  ]);
  await rig.database.query('UPDATE event_outbox SET max_retries = 0');
  const relay = rig.relay();
  await relay.start();
  await vi.waitFor(async () => expect(await rig.statuses()).toEqual({ FAILED: 1, PENDING: 1 }), PATIENCE);
  await rig.database.query("UPDATE event_outbox SET status = 'DISCARDED' WHERE status = 'FAILED'");
  await vi.waitFor(async () => expect(await rig.statuses()).toEqual({ DISCARDED: 1, SENT: 1 }), PATIENCE);
  expect(await recordsOf(session)).toEqual(['1 marker null', '2']);
  await vi.waitFor(async () => {
    const { rows } = await rig.database.query('SELECT sequence FROM event_outbox WHERE partition IS NULL');
    expect(rows).toEqual([]);
  }, PATIENCE);
});

test('told to discard what fails, the relay sends the marker by itself', async () => {
  await limitMessageBytes(rig.kafka, 20_000);
  const [session = ''] = sessions(1);
  await rig.insert(
    upTo(3).map((sequence) => ({ session, sequence, ...(sequence === 2 ? { payload: 'x'.repeat(30_000) } : {}) })),
  );
  await rig.database.query('UPDATE event_outbox SET max_retries = 0');
  const relay = rig.relay({ onFailed: 'discard' });
  await relay.start();
  await vi.waitFor(async () => expect(await rig.statuses()).toEqual({ DISCARDED: 1, SENT: 2 }), PATIENCE);
  expect(await recordsOf(session)).toEqual(['1', '2 marker null', '3']);
  expect(relay.status()).toMatchObject({ failed: 1 });
});

test('a row that was rolled back is never sent, one that commits late is not missed', async () => {
  const [early = '', late = '', gone = ''] = sessions(3);
  const insert = `INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers)
    VALUES (gen_random_uuid(), $1, $2, 0, 1, '{}', '{"sequence":"1"}')`;
  const slow = await rig.database.connect();
  const undone = await rig.database.connect();
  try {
    for (const [client, session] of [
      [slow, late],
      [undone, gone],
    ] as const) {
      await client.query('BEGIN');
      await client.query(insert, [rig.kafka.topic, session]);
    }
    const relay = rig.relay();
    await relay.start();
    await rig.insert([{ session: early, sequence: 1 }]);
    await untilSent(1);
    await undone.query('ROLLBACK');
    await slow.query('COMMIT');
    await untilSent(2);
    await relay.stop();
  } finally {
    slow.release();
    undone.release();
  }
  expect((await rig.log()).map(({ key }) => key).toSorted()).toEqual([early, late].toSorted());
});

test('a hint is followed at once, long before the next poll', async () => {
  const relay = rig.relay({ pollInterval: 3_600_000 });
  await relay.start();
  await vi.waitFor(() => expect(relay.status().state).toBe('idle'), PATIENCE);
  const [session = ''] = sessions(1);
  await rig.insert([{ session, sequence: 1 }]);
  rig.wakeup.notify();
  await untilSent(1);
});

/** Rows that the broker refused once and that may be tried again now, each with a successor. */
async function insertRefused(keys: readonly string[]): Promise<void> {
  await rig.insert(events(keys, 2));
  await rig.database.query(
    `UPDATE event_outbox SET retry_count = 1, scheduled_at = now() WHERE key = ANY ($1) AND sequence = 1`,
    [keys],
  );
}

async function sentOf(keys: readonly string[]): Promise<number> {
  const { rows } = await rig.database.query<{ count: number }>(
    `SELECT count(*)::int FROM event_outbox WHERE status = 'SENT' AND key = ANY ($1)`,
    [keys],
  );
  return rows[0]?.count ?? 0;
}

test('exactly once: beside many that go one by one because they were refused, others go on', async () => {
  const [refused, others] = [sessions(200), sessions(20)];
  await insertRefused(refused);
  const relay = rig.relay({ delivery: 'exactly-once', batchSize: 1_000 });
  await relay.start();
  await vi.waitFor(async () => expect(await sentOf(refused)).toBeGreaterThan(0), PATIENCE);
  for (const sequence of upTo(10)) {
    await rig.insert(others.map((session) => ({ session, sequence })));
    rig.wakeup.notify();
    await vi.waitFor(async () => expect(await sentOf(others)).toBe(sequence * others.length), PATIENCE);
  }
  expect(await sentOf(refused)).toBeLessThan(300);
  await untilSent(600);
  expect(relay.status()).toMatchObject({ retried: 0, failed: 0 });
  const versions = versionsBySession(await rig.log());
  for (const key of refused) expect(versions.get(key)).toEqual(upTo(2));
  for (const key of others) expect(versions.get(key)).toEqual(upTo(10));
});

test('exactly once: beside these, others whose hints were lost go on after a poll interval', async () => {
  const refused = sessions(300);
  await insertRefused(refused);
  const relay = rig.relay({ delivery: 'exactly-once', batchSize: 1_000 });
  // They come with one claim: no shard is claimed before all have been read back.
  await rig.database.query('UPDATE relay_shards SET paused = true');
  await relay.start();
  await vi.waitFor(() => {
    expect(relay.status().shards.map(({ state }) => state)).toEqual(ALL_SHARDS.map(() => 'paused'));
  }, PATIENCE);
  await rig.database.query('UPDATE relay_shards SET paused = false');
  await vi.waitFor(async () => expect(await sentOf(refused)).toBeGreaterThan(0), PATIENCE);
  for (const others of [sessions(20), sessions(20), sessions(20)]) {
    await rig.insert(events(others, 1));
    await vi.waitFor(async () => expect(await sentOf(others)).toBe(20), PATIENCE);
    // The queue of those that were refused is far from its end.
    expect(await sentOf(refused)).toBeLessThan(300);
  }
  await untilSent(660);
  const versions = versionsBySession(await rig.log());
  for (const key of refused) expect(versions.get(key)).toEqual(upTo(2));
});

test('ordinary batches are cut by bytes, so that the broker refuses none', async () => {
  const keys = sessions(2);
  const send = vi.spyOn(KafkaPublisher.prototype, 'send');
  await rig.insert(events(keys, 40).map((event) => ({ ...event, payload: 'x'.repeat(100_000) })));
  const relay = rig.relay();
  await relay.start();
  await untilSent(80);
  const outcomes = await Promise.all(send.mock.results.map(({ value }) => value as ReturnType<KafkaPublisher['send']>));
  expect(outcomes.flat().map(({ kind }) => kind)).toEqual(Array.from({ length: 80 }, () => 'acknowledged'));
  const versions = versionsBySession(await rig.log());
  for (const key of keys) expect(versions.get(key)).toEqual(upTo(40));
});

function shardsOf(...relays: readonly Relay[]): number[] {
  return relays
    .flatMap((relay) => relay.status().shards.map(({ shard }) => shard))
    .toSorted((one, other) => one - other);
}

test.each<DeliveryMode>(['at-least-once', 'exactly-once'])(
  'two relays share the shards; when one stops the other has them all; nothing is sent twice (%s)',
  async (delivery) => {
    const keys = sessions(40);
    const [first, second] = [rig.relay({ delivery }), rig.relay({ delivery })];
    await first.start();
    await vi.waitFor(() => expect(shardsOf(first)).toEqual(ALL_SHARDS), PATIENCE);
    await second.start();
    await rig.insert(events(keys, 50));
    await vi.waitFor(() => expect(shardsOf(second)).toHaveLength(4), PATIENCE);
    await untilSent(2_000);
    await vi.waitFor(() => expect(shardsOf(first, second)).toEqual(ALL_SHARDS), PATIENCE);
    await rig.insert(upTo(50).flatMap((n) => keys.map((session) => ({ session, sequence: 50 + n }))));
    await untilSent(4_000);
    expect(second.status().published).toBeGreaterThan(0);

    await first.stop();
    await rig.insert(upTo(50).flatMap((n) => keys.map((session) => ({ session, sequence: 100 + n }))));
    await untilSent(6_000);
    await vi.waitFor(() => expect(shardsOf(second)).toEqual(ALL_SHARDS), PATIENCE);
    const versions = versionsBySession(await rig.log());
    for (const key of keys) expect(versions.get(key)).toEqual(upTo(150));
  },
);

test('exactly once: what was committed is marked, whatever the relay was doing', async () => {
  const keys = sessions(30);
  await rig.insert(events(keys, 100));
  const relay = rig.relay({ delivery: 'exactly-once' });
  await relay.start();
  await untilSent(3_000);
  expect(relay.status()).toMatchObject({ published: 3_000, delivery: 'exactly-once', lastError: null });
  await relay.stop();
  const versions = versionsBySession(await rig.log());
  for (const key of keys) expect(versions.get(key)).toEqual(upTo(100));
});

test('a topic that is ahead of the database stops everything, until the database has what is missing', async () => {
  const [session = '', other = ''] = sessions(2);
  await rig.insert([{ session, sequence: 1 }]);
  const before = rig.relay();
  await before.start();
  await untilSent(1);
  await before.stop();
  // As after a restore: the row and its event are gone.
  await rig.database.query('ALTER TABLE domain_events DISABLE TRIGGER USER');
  await rig.database.query('GRANT DELETE ON domain_events TO CURRENT_USER');
  const { rows: lost } = await rig.database.query<Record<string, unknown>>('DELETE FROM domain_events RETURNING *');
  await rig.database.query("DELETE FROM event_outbox WHERE status = 'SENT'");
  await rig.database.query('UPDATE relay_shards SET position = 0');
  await rig.insert([{ session: other, sequence: 1 }]);
  const relay = rig.relay();
  await relay.start();
  await vi.waitFor(() => expect(relay.status().shards.map(({ state }) => state)).toContain('topic-ahead'), PATIENCE);
  await vi.waitFor(async () => {
    const { rows } = await rig.database.query('SELECT topic_ahead FROM genesis_settings');
    expect(rows).toEqual([{ topic_ahead: true }]);
  }, PATIENCE);
  expect(relay.status().lastError).toMatch(/genesis recover --from-topic/u);
  expect(await rig.statuses()).toEqual({ PENDING: 1 });

  await rig.database.query('INSERT INTO domain_events SELECT * FROM json_populate_recordset(null::domain_events, $1)', [
    JSON.stringify(lost),
  ]);
  await rig.database.query('UPDATE genesis_settings SET topic_ahead = false');
  await rig.database.query('UPDATE relay_shards SET topic_ahead_at = null');
  await untilSent(1);
});
