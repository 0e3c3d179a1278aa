import pg from 'pg';
import { v7 as uuid } from 'uuid';
import type { SessionId } from '../../src/genesis/ids.ts';
import { createOutboxStore, type LeasedQuery } from '../../src/postgres/outbox-store.ts';
import type { Claim, ClaimRequest, ClaimedRow, OutboxStore } from '../../src/relay/ports.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

export const SHARDS: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7];

/** A database, somebody who changes it by hand, and a member that holds all shards. */
export class OutboxRig {
  readonly admin: pg.Client;
  store: OutboxStore;
  readonly #connection: pg.Client;
  readonly #database: TestDatabase;

  constructor(database: TestDatabase, admin: pg.Client, connection: pg.Client) {
    this.#database = database;
    this.admin = admin;
    this.#connection = connection;
    this.store = this.storeOf(1);
  }

  get url(): string {
    return this.#database.url;
  }

  /** The store of a member, on the connection of all of them. */
  storeOf(id: number): OutboxStore {
    const query: LeasedQuery = async <Row>(text: string, values: readonly unknown[]) =>
      (await this.#connection.query<Row & pg.QueryResultRow>(text, [...values])).rows;
    return createOutboxStore({ claims: query, marks: query }, { id }, { horizonInterval: 0 });
  }

  claim(request: Partial<ClaimRequest> = {}): Promise<Claim> {
    const all = { shards: SHARDS, floor: 1, limit: 100, exceptIds: [], exceptSessions: [], alsoHeld: true };
    return this.store.claim({ ...all, ...request });
  }

  async claimedIds(request: Partial<ClaimRequest> = {}): Promise<number[]> {
    return (await this.claim(request)).rows.map(({ id }) => id);
  }

  async insert(key: string, sequence: number, payload = '{}', shard = 3): Promise<number> {
    const { rows } = await this.admin.query<{ id: string }>(
      `INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers)
       VALUES ($1, 'events', $2, $5, $3, $4, '{"b":"1","a":"2"}') RETURNING id`,
      [uuid(), key, sequence, payload, shard],
    );
    return Number(rows[0]?.id);
  }

  /** Rows 1 to `count` of a new session. */
  async session(count: number, shard = 3): Promise<{ readonly key: SessionId; readonly ids: readonly number[] }> {
    const key = uuid() as SessionId;
    const ids: number[] = [];
    for (let sequence = 1; sequence <= count; sequence += 1) ids.push(await this.insert(key, sequence, '{}', shard));
    return { key, ids };
  }

  async run(text: string, values: readonly unknown[] = []): Promise<void> {
    await this.admin.query(text, [...values]);
  }

  async value<Row extends object>(text: string, values: readonly unknown[] = []): Promise<Row | undefined> {
    return (await this.admin.query<Row>(text, [...values])).rows[0];
  }

  /** As if the broker had acknowledged them, and as the relay then goes on. */
  async publish(rows: readonly ClaimedRow[]): Promise<void> {
    await this.store.markSent(rows.map(({ id, shard }) => ({ id, partition: shard, offset: String(id) })));
    const held = new Map(rows.filter((row) => row.held).map(({ key, sequence }) => [key, sequence + 1]));
    await this.store.settleHolds([...held.keys()]);
  }

  hold(key: string): Promise<object | undefined> {
    return this.value(
      `SELECT next_sequence AS next, blocked_by AS blocked,
              CASE WHEN isfinite(waits_until) THEN 'a while' ELSE waits_until::text END AS waits
       FROM event_outbox_holds WHERE key = $1`,
      [key],
    );
  }

  /** What the store has done is in the statistics then. */
  async flushStatistics(): Promise<void> {
    await this.#connection.query('SELECT pg_stat_force_next_flush()');
    await this.#connection.query('SELECT 1');
  }

  /** Somebody with a transaction of his own. */
  async connect(): Promise<pg.Client> {
    const client = new pg.Client(this.url);
    await client.connect();
    return client;
  }

  /** As after the migrations, and all shards are the member's. What the store remembers is forgotten, for ids begin anew. */
  async reset(): Promise<void> {
    this.store = this.storeOf(1);
    await this.run('SET session_replication_role = replica');
    await this.run('TRUNCATE event_outbox, event_outbox_holds RESTART IDENTITY');
    await this.run('SET session_replication_role = DEFAULT');
    await this.run(
      "UPDATE relay_shards SET owner = 1, expires_at = now() + interval '1 hour', paused = false, epoch = 1, floor = 1",
    );
  }

  async stop(): Promise<void> {
    await this.#connection.end();
    await this.admin.end();
    await this.#database.drop();
  }
}

export async function startOutboxRig(): Promise<OutboxRig> {
  const database = await createTestDatabase();
  const clients = [new pg.Client(database.url), new pg.Client(database.url)] as const;
  for (const client of clients) await client.connect();
  const rig = new OutboxRig(database, ...clients);
  await rig.reset();
  return rig;
}
