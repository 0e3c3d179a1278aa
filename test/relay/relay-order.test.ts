import fc from 'fast-check';
import { pino } from 'pino';
import { expect, test, vi } from 'vitest';
import { createLocalWakeup } from '../../src/relay/local-wakeup.ts';
import { Relay } from '../../src/relay/relay.ts';
import { RelayWorld, type Mishap } from './relay-world.ts';

const SESSIONS = 6;
const SHARDS = 3;
const PATIENCE = { timeout: 10_000, interval: 1 };

const mishap = fc.constantFrom<Mishap>(
  'none',
  'none',
  'outage',
  'answer lost',
  'partition away',
  'lease lost',
  'mark refused',
  'row locked',
);
const row = fc.record({
  session: fc.nat(SESSIONS - 1),
  refusals: fc.oneof(
    { weight: 8, arbitrary: fc.constant(0) },
    { weight: 2, arbitrary: fc.integer({ min: 1, max: 5 }) },
  ),
});

function createRelay(world: RelayWorld, batchSize: number, logger = pino({ level: 'silent' })): Relay {
  return new Relay(
    {
      lease: world.lease,
      publisher: world.publisher(),
      wakeup: createLocalWakeup(),
      logger,
    },
    { batchSize, batchMax: batchSize * 4, pollInterval: 2, backoff: { first: 0.1, most: 1 }, maxPartitionBytes: 1_000 },
  );
}

function fill(world: RelayWorld, rows: readonly { session: number; refusals: number }[]): void {
  const versions = new Map<number, number>();
  for (const { session, refusals } of rows) {
    const sequence = (versions.get(session) ?? 0) + 1;
    versions.set(session, sequence);
    world.add(`session-${session}`, sequence, session % SHARDS, refusals);
  }
}

/** Every session appears in order and without a gap up to its FAILED row or its end. */
function expectOrderAndCompleteness(world: RelayWorld): void {
  for (let number = 0; number < SESSIONS; number += 1) {
    const session = `session-${number}`;
    const rows = world.rows.filter((one) => one.session === session);
    const failed = rows.findIndex(({ status }) => status === 'FAILED');
    const open = failed === -1 ? rows : rows.slice(0, failed);
    expect(world.firstOccurrences(session)).toEqual(open.map(({ sequence }) => sequence));
    expect(open.every(({ status }) => status === 'SENT')).toBe(true);
  }
}

test('whatever goes wrong, no session is reordered and nothing of it is lost', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(row, { minLength: 1, maxLength: 60 }),
      fc.array(mishap, { maxLength: 30 }),
      fc.integer({ min: 1, max: 20 }),
      async (rows, mishaps, batchSize) => {
        const world = new RelayWorld();
        fill(world, rows);
        world.mishaps = [...mishaps];
        const relays = [createRelay(world, batchSize), createRelay(world, batchSize)];
        for (const relay of relays) await relay.start();
        await vi.waitFor(() => expect(world.settled).toBe(true), { timeout: 20_000, interval: 2 });
        for (const relay of relays) await relay.stop();
        expectOrderAndCompleteness(world);
        const excuses = mishaps.filter((one) => one === 'answer lost' || one === 'lease lost').length;
        if (excuses === 0) expect(world.duplicates).toBe(0);
        // A row becomes FAILED only by being refused once more than it may be retried.
        const failed = world.rows.filter(({ status }) => status === 'FAILED');
        expect(failed.every(({ retryCount }) => retryCount === 3)).toBe(true);
      },
    ),
    { numRuns: 150 },
  );
});

test('an outage charges nothing', async () => {
  const world = new RelayWorld();
  fill(world, [
    { session: 0, refusals: 0 },
    { session: 1, refusals: 0 },
  ]);
  world.mishaps = Array.from({ length: 20 }, () => 'outage');
  const relay = createRelay(world, 10);
  await relay.start();
  await vi.waitFor(() => expect(relay.status().state).toBe('stalled'), PATIENCE);
  await vi.waitFor(() => expect(world.settled).toBe(true), PATIENCE);
  expect(world.rows.map(({ status, retryCount }) => ({ status, retryCount }))).toEqual([
    { status: 'SENT', retryCount: 0 },
    { status: 'SENT', retryCount: 0 },
  ]);
  await vi.waitFor(() => expect(relay.status().state).toBe('idle'), PATIENCE);
  expect(relay.status()).toMatchObject({ published: 2, lastError: 'away' });
  await relay.stop();
  expect(relay.status().state).toBe('stopped');
});

test('an outage is told once, however long it lasts and whatever else goes on', async () => {
  const world = new RelayWorld();
  fill(
    world,
    [0, 1, 2].map((session) => ({ session, refusals: 0 })),
  );
  world.mishaps = ['outage', ...Array.from({ length: 10 }, (): Mishap => 'partition away')];
  const lines: string[] = [];
  const logger = pino({ base: null }, { write: (line: string) => void lines.push(line) });
  const relay = createRelay(world, 10, logger);
  await relay.start();
  await vi.waitFor(() => expect(world.settled).toBe(true), PATIENCE);
  await vi.waitFor(() => expect(relay.status().state).toBe('idle'), PATIENCE);
  await relay.stop();
  const messages = lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
  expect(messages).toEqual([
    'the relay holds the lease',
    'the broker does not take records: waiting for it, nothing is charged',
    'the broker takes records again',
  ]);
});

test('a refused row is retried after 1, 2 and 4 seconds, then FAILED, while the others go on', async () => {
  const world = new RelayWorld();
  fill(world, [
    { session: 0, refusals: 0 },
    { session: 0, refusals: 9 },
    { session: 3, refusals: 0 },
    { session: 0, refusals: 0 },
    { session: 3, refusals: 0 },
  ]);
  const relay = createRelay(world, 10);
  await relay.start();
  await vi.waitFor(() => expect(world.rows[1]?.status).toBe('FAILED'), PATIENCE);
  await relay.stop();
  expect(world.delays).toEqual([1_000, 2_000, 4_000]);
  expect(world.rows.map(({ status }) => status)).toEqual(['SENT', 'FAILED', 'SENT', 'PENDING', 'SENT']);
  expect(relay.status()).toMatchObject({ published: 3, retried: 3, failed: 1 });
});

test('what was acknowledged before the lease was lost is marked under the next one, not sent again', async () => {
  const world = new RelayWorld();
  fill(world, [{ session: 0, refusals: 0 }]);
  world.mishaps = ['lease lost'];
  const relay = createRelay(world, 10);
  await relay.start();
  await vi.waitFor(() => expect(world.settled).toBe(true), PATIENCE);
  await relay.stop();
  expect(world.log).toEqual([{ session: 'session-0', sequence: 1 }]);
});

test('a claim out of order is a defect: nothing of it is sent', async () => {
  const world = new RelayWorld();
  world.add('session-0', 2, 0);
  world.add('session-0', 1, 0);
  const relay = createRelay(world, 10);
  await relay.start();
  await vi.waitFor(() => expect(relay.status().lastError).toContain('version 1 of session session-0 after version 2'), {
    ...PATIENCE,
  });
  await relay.stop();
  expect(world.log).toEqual([]);
});

test('beside somebody who has locked a thousand rows the relay waits, and goes on when they are free', async () => {
  const world = new RelayWorld();
  fill(
    world,
    Array.from({ length: 2_000 }, (_, session) => ({ session, refusals: 0 })),
  );
  world.lock(world.rows.map(({ id }) => id));
  const relay = createRelay(world, 250);
  await relay.start();
  // Claims of 250, 500 and 1,000 rows; then it keeps too much to claim more.
  await vi.waitFor(() => expect(relay.status().state).toBe('idle'), PATIENCE);
  expect(relay.status().lastError).toContain('1750 rows of event_outbox are locked');
  expect(world.log).toHaveLength(1_750);
  world.lock([]);
  await vi.waitFor(() => expect(world.settled).toBe(true), PATIENCE);
  await relay.stop();
  expect(world.duplicates).toBe(0);
  expect(relay.status().published).toBe(2_000);
});

test('stop may come before start, and twice', async () => {
  const relay = createRelay(new RelayWorld(), 10);
  await relay.stop();
  await relay.start();
  await relay.start();
  await Promise.all([relay.stop(), relay.stop()]);
  expect(relay.status().state).toBe('stopped');
});
