import type pg from 'pg';
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest';
import { limitMessageBytes } from '../kafka/limit-message-bytes.ts';
import { createRelayRig, sessions, upTo, versionsBySession, type RelayRig } from './relay-rig.ts';

let rig: RelayRig;
let operator: pg.PoolClient;

beforeEach(async () => {
  rig = await createRelayRig(inject('brokers'));
  operator = await rig.database.connect();
});

afterEach(async () => {
  operator.release(true);
  await rig.close();
});

const PATIENCE = { timeout: 25_000, interval: 10 };
const DISCARD = "UPDATE event_outbox SET status = 'DISCARDED' WHERE key = $1 AND sequence = $2";

async function untilStatuses(statuses: Readonly<Record<string, number>>): Promise<void> {
  await vi.waitFor(async () => expect(await rig.statuses()).toEqual(statuses), PATIENCE);
}

async function rowOf(session: string, sequence: number): Promise<unknown> {
  const { rows } = await rig.database.query(
    'SELECT status, partition IS NOT NULL AS placed, retry_count FROM event_outbox WHERE key = $1 AND sequence = $2',
    [session, sequence],
  );
  return rows[0];
}

/** Ten sessions with three events each; an operator has begun to discard the second of the first. */
async function beginToDiscard(): Promise<{ keys: readonly string[]; locked: string }> {
  const keys = sessions(10);
  const [locked = ''] = keys;
  await rig.insert(upTo(3).flatMap((sequence) => keys.map((session) => ({ session, sequence }))));
  await operator.query('BEGIN');
  await operator.query(DISCARD, [locked, 2]);
  return { keys, locked };
}

/** Nothing twice, everything in order. */
async function expectOnceEach(keys: readonly string[], versions: number): Promise<void> {
  const log = versionsBySession(await rig.log());
  for (const key of keys) expect(log.get(key)).toEqual(upTo(versions));
}

test('a row that an operator has locked stops no other session', async () => {
  const { keys, locked } = await beginToDiscard();
  const relay = rig.relay({}, { callTimeout: 1_000 });
  await relay.start();
  await untilStatuses({ SENT: 29, PENDING: 1 });
  await rig.insert(keys.map((session) => ({ session, sequence: 4 })));
  // Its record was acknowledged, whatever becomes of its row: the session goes on.
  await untilStatuses({ SENT: 39, PENDING: 1 });
  expect(relay.status().lastError).toMatch(/locked/u);

  await operator.query('ROLLBACK');
  await untilStatuses({ SENT: 40 });
  expect(await rowOf(locked, 2)).toEqual({ status: 'SENT', placed: true, retry_count: 0 });
  await expectOnceEach(keys, 4);
  expect(relay.status()).toMatchObject({ published: 40, retried: 0, failed: 0 });
});

test('a row that is discarded while its record was on its way stays discarded and says where that lies; its session goes on', async () => {
  const { keys, locked } = await beginToDiscard();
  const relay = rig.relay({}, { callTimeout: 1_000 });
  await relay.start();
  await untilStatuses({ SENT: 29, PENDING: 1 });
  await operator.query('COMMIT');
  await rig.insert(keys.map((session) => ({ session, sequence: 4 })));
  await untilStatuses({ SENT: 39, DISCARDED: 1 });
  expect(await rowOf(locked, 2)).toEqual({ status: 'DISCARDED', placed: true, retry_count: 0 });
  await expectOnceEach(keys, 4);
});

test.each(['genesis-relay', 'genesis-relay-marks'])(
  'what was acknowledged of a locked row is remembered when %s is lost',
  async (connection) => {
    const { keys } = await beginToDiscard();
    const relay = rig.relay({}, { callTimeout: 1_000 });
    await relay.start();
    await untilStatuses({ SENT: 29, PENDING: 1 });
    await rig.database.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()',
      [connection],
    );
    await rig.insert(keys.map((session) => ({ session, sequence: 4 })));
    await untilStatuses({ SENT: 39, PENDING: 1 });
    await operator.query('ROLLBACK');
    await untilStatuses({ SENT: 40 });
    await expectOnceEach(keys, 4);
  },
);

test('a refused row that an operator has locked is charged once it is free, and stops no other session', async () => {
  await limitMessageBytes(rig.kafka, 20_000);
  const keys = sessions(10);
  const [locked = ''] = keys;
  await rig.insert(
    keys.map((session) => ({ session, sequence: 1, ...(session === locked ? { payload: 'x'.repeat(30_000) } : {}) })),
  );
  await rig.database.query('UPDATE event_outbox SET max_retries = 0');
  await operator.query('BEGIN');
  await operator.query(DISCARD, [locked, 1]);
  const relay = rig.relay({}, { callTimeout: 1_000 });
  await relay.start();
  await untilStatuses({ SENT: 9, PENDING: 1 });
  await rig.insert(keys.map((session) => ({ session, sequence: 2 })));
  await untilStatuses({ SENT: 18, PENDING: 2 });
  await operator.query('ROLLBACK');
  await untilStatuses({ SENT: 18, FAILED: 1, PENDING: 1 });
  expect(relay.status()).toMatchObject({ published: 18, failed: 1 });
});
