import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll } from 'vitest';
import type pg from 'pg';
import type { SessionId } from '../../src/genesis/ids.ts';
import { createOperations, type Operations } from '../../src/outbox/operations/operations.ts';
import type { Deed, OperationsStore, RowFilter } from '../../src/outbox/operations/ports.ts';
import { createOperationsStore } from '../../src/postgres/outbox-admin.ts';
import { createPool } from '../../src/postgres/pool.ts';
import { createRead } from '../../src/postgres/read.ts';
import { silent } from '../support/commands.ts';
import { createTestDatabase } from '../support/database.ts';

export const ANY: RowFilter = {
  ids: null,
  eventId: null,
  sessionId: null,
  status: null,
  eventType: null,
  shard: null,
  fromId: null,
  toId: null,
  minAge: null,
  maxAge: null,
};

export const deed = (changes: Partial<Deed> = {}): Deed => ({
  callId: uuidv7(),
  actor: 'olga',
  via: 'cli',
  reason: 'for a test',
  filter: '{}',
  ...changes,
});

/** An outbox in whatever state a test wants: written by hand, through the real triggers, as a relay would leave it. */
export interface OutboxRig {
  readonly url: string;
  readonly pool: pg.Pool;
  readonly store: OperationsStore;
  readonly operations: Operations;
  query<Row extends object>(text: string, values?: readonly unknown[]): Promise<readonly Row[]>;
  /** A session with so many events, all PENDING. */
  session(events: number, shard?: number): Promise<SessionId>;
  /** Marks the session's rows up to a sequence SENT. */
  send(key: SessionId, upTo: number): Promise<void>;
  fail(key: SessionId, sequence: number, error?: string): Promise<void>;
  /** Refused once; its retry comes in an hour. */
  refuse(key: SessionId, sequence: number, error?: string): Promise<void>;
  /** Id of a session's row. */
  idOf(key: SessionId, sequence: number): Promise<number>;
  statuses(key: SessionId): Promise<string>;
  /** A relay that owns these shards for the next `seconds`. */
  own(shards: readonly number[], seconds?: number): Promise<number>;
  stop(): Promise<void>;
}

export async function startOutboxRig(): Promise<OutboxRig> {
  const database = await createTestDatabase();
  const pool = createPool({ url: database.url, poolSize: 4 }, 'test', silent);
  const store = createOperationsStore(createRead(pool, 10_000), pool, 10_000);
  const query = async <Row extends object>(text: string, values: readonly unknown[] = []) =>
    (await pool.query<Row>(text, [...values])).rows;
  return {
    url: database.url,
    pool,
    store,
    operations: createOperations(store),
    query,
    session: (events, shard = 1) => insertSession(query, events, shard),
    async send(key, upTo) {
      await query(
        `UPDATE event_outbox SET status = 'SENT', sent_at = now(), partition = shard, "offset" = sequence
         WHERE key = $1 AND sequence <= $2 AND status = 'PENDING'`,
        [key, upTo],
      );
    },
    async fail(key, sequence, error = 'MESSAGE_TOO_LARGE') {
      const text = `UPDATE event_outbox SET status = 'FAILED', retry_count = 3, last_error = $3 WHERE key = $1 AND sequence = $2`;
      await query(text, [key, sequence, error]);
    },
    async refuse(key, sequence, error = 'INVALID_RECORD') {
      const text = `UPDATE event_outbox SET retry_count = retry_count + 1, last_error = $3, scheduled_at = now() + interval '1 hour'
        WHERE key = $1 AND sequence = $2`;
      await query(text, [key, sequence, error]);
    },
    async idOf(key, sequence) {
      const text = 'SELECT id::float8 AS id FROM event_outbox WHERE key = $1 AND sequence = $2';
      return (await query<{ id: number }>(text, [key, sequence]))[0]?.id ?? Number.NaN;
    },
    async statuses(key) {
      const text = `SELECT string_agg(status, ' ' ORDER BY sequence) AS all FROM event_outbox WHERE key = $1`;
      return (await query<{ all: string }>(text, [key]))[0]?.all ?? '';
    },
    own: (shards, seconds = 3_600) => own(query, shards, seconds),
    async stop() {
      await pool.end();
      await database.drop();
    },
  };
}

type Query = OutboxRig['query'];

async function insertSession(query: Query, events: number, shard: number): Promise<SessionId> {
  const key = uuidv7() as SessionId;
  await query(
    `INSERT INTO domain_events
     SELECT uuidv7(), 'GENESIS_SESSION', $1, i, CASE i WHEN 1 THEN 'Genesis.Session.Created' ELSE 'Genesis.Session.Submitted' END,
            1, '{}', '{}', uuidv7(), uuidv7(), now()
     FROM generate_series(1, $2::integer) AS i`,
    [key, events],
  );
  await query(
    `INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers)
     SELECT event_id, 'domain-events', aggregate_id, $2, aggregate_version, '{}', json_build_object('ce_type', event_type)
     FROM domain_events WHERE aggregate_id = $1 ORDER BY aggregate_version`,
    [key, shard],
  );
  return key;
}

async function own(query: Query, shards: readonly number[], seconds: number): Promise<number> {
  const [member] = await query<{ id: number }>(
    `INSERT INTO relay_members (name, delivery, expires_at)
     VALUES ('relay-a 4711', 'at-least-once', clock_timestamp() + $1 * interval '1 second') RETURNING id`,
    [seconds],
  );
  const id = member?.id ?? 0;
  await query(
    `UPDATE relay_shards SET owner = $1, state = 'active', epoch = epoch + 1,
            expires_at = clock_timestamp() + $2 * interval '1 second' WHERE shard = ANY ($3)`,
    [id, seconds, shards],
  );
  return id;
}

/** A rig for each group of tests: they count everything that there is. */
export function withOutboxRig(): { readonly rig: OutboxRig } {
  let started: OutboxRig | undefined;
  beforeAll(async () => {
    started = await startOutboxRig();
  });
  afterAll(() => started?.stop());
  return {
    get rig() {
      if (started === undefined) throw new Error('the rig is not started');
      return started;
    },
  };
}

export const of = (filter: Partial<RowFilter>): RowFilter => ({ ...ANY, ...filter });
