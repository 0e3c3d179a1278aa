import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { startOwnBroker, type OwnBroker } from './own-broker.ts';
import { createRelayRig, sessions, upTo, versionsBySession, type RelayRig } from './relay-rig.ts';

let broker: OwnBroker;
let rig: RelayRig;

beforeAll(async () => {
  broker = await startOwnBroker();
});

afterAll(async () => {
  await broker.remove();
});

beforeEach(async () => {
  rig = await createRelayRig(broker.brokers);
});

afterEach(async () => {
  await rig.close();
});

const PATIENCE = { timeout: 60_000, interval: 20 };

async function untilSent(atLeast: number): Promise<void> {
  await vi.waitFor(async () => expect((await rig.statuses())['SENT'] ?? 0).toBeGreaterThanOrEqual(atLeast), PATIENCE);
}

async function insertMany(keys: readonly string[], from: number, to: number): Promise<void> {
  const versions = upTo(to).filter((sequence) => sequence >= from);
  await rig.insert(versions.flatMap((sequence) => keys.map((session) => ({ session, sequence }))));
}

/** The producer is idempotent and kept its send pending: not even a duplicate. */
async function expectOnceAndInOrder(keys: readonly string[], versions: number): Promise<void> {
  const log = versionsBySession(await rig.log());
  for (const key of keys) expect(log.get(key)).toEqual(upTo(versions));
  const { rows } = await rig.database.query('SELECT count(*)::int AS charged FROM event_outbox WHERE retry_count > 0');
  expect(rows).toEqual([{ charged: 0 }]);
}

test(
  'a broker that is killed in the middle and comes back: nothing lost, reordered or charged',
  { timeout: 120_000 },
  async () => {
    const keys = sessions(20);
    await insertMany(keys, 1, 200);
    const relay = rig.relay({ batchMax: 100 });
    await relay.start();
    await untilSent(500);
    await broker.kill();
    await vi.waitFor(() => expect(relay.status().state).toBe('stalled'), PATIENCE);
    await broker.start();
    await untilSent(4_000);
    expect(relay.status()).toMatchObject({ retried: 0, failed: 0 });
    await expectOnceAndInOrder(keys, 200);
    await vi.waitFor(() => expect(relay.status().state).toBe('idle'), PATIENCE);
  },
);

test(
  'a broker that is frozen for longer than the deadline stalls the relay and nothing else',
  { timeout: 120_000 },
  async () => {
    const keys = sessions(20);
    const relay = rig.relay();
    await relay.start();
    await insertMany(keys, 1, 10);
    await untilSent(200);
    broker.freeze();
    try {
      await insertMany(keys, 11, 20);
      await vi.waitFor(() => expect(relay.status().state).toBe('stalled'), PATIENCE);
    } finally {
      broker.thaw();
    }
    await untilSent(400);
    await expectOnceAndInOrder(keys, 20);
  },
);

test(
  'a relay that is stopped while the broker is away stops within its grace and loses nothing',
  { timeout: 120_000 },
  async () => {
    const keys = sessions(20);
    const first = rig.relay({ stopGrace: 100 });
    await first.start();
    await insertMany(keys, 1, 10);
    await untilSent(200);
    await broker.kill();
    await insertMany(keys, 11, 20);
    await vi.waitFor(() => expect(first.status().state).toBe('stalled'), PATIENCE);
    const before = performance.now();
    await first.stop();
    expect(performance.now() - before).toBeLessThan(3_000);
    await broker.start();
    const second = rig.relay();
    await second.start();
    await untilSent(400);
    await expectOnceAndInOrder(keys, 20);
  },
);
