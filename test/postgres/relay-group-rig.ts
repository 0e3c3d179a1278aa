import { afterAll, afterEach, beforeAll, beforeEach, expect, vi } from 'vitest';
import pg from 'pg';
import { createRelayGroup, type RelayGroupOptions } from '../../src/postgres/relay-group.ts';
import type { DeliveryMode, Membership, ShardReport } from '../../src/relay/ports.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

export const PATIENCE = { timeout: 10_000, interval: 10 };
export const ALL_SHARDS = [0, 1, 2, 3, 4, 5, 6, 7];

export interface Joining extends RelayGroupOptions {
  readonly delivery?: DeliveryMode;
  readonly url?: string;
}

interface StoredShard {
  owner: number | null;
  floor: string;
  position: string;
  state: string;
  transactional_ids: string[];
  topic_ahead_at: string | null;
  last_progress_at: Date | null;
  last_error: string | null;
}

/** A database in which each test begins without members and with untouched shards. */
export class RelayGroupRig {
  #database: TestDatabase | null = null;
  #admin: pg.Client | null = null;
  #members: Membership[] = [];

  static install(): RelayGroupRig {
    const rig = new RelayGroupRig();
    beforeAll(() => rig.#open());
    beforeEach(() => rig.#reset());
    afterEach(() => rig.leaveAll());
    afterAll(() => rig.#close());
    return rig;
  }

  get url(): string {
    if (this.#database === null) throw new Error('the rig has no database yet');
    return this.#database.url;
  }

  get admin(): pg.Client {
    if (this.#admin === null) throw new Error('the rig has no connection yet');
    return this.#admin;
  }

  async join({ delivery = 'at-least-once', url = this.url, ...options }: Joining = {}): Promise<Membership> {
    const group = createRelayGroup(url, { ttl: 60_000, heartbeatInterval: 100, ...options });
    const member = await group.join({ name: 'test', delivery }, new AbortController().signal);
    this.#members.push(member);
    return member;
  }

  async leaveAll(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.leave()));
    this.#members = [];
  }

  async stored(shard: number): Promise<StoredShard | undefined> {
    const { rows } = await this.admin.query<StoredShard>('SELECT * FROM relay_shards WHERE shard = $1', [shard]);
    return rows[0];
  }

  async membersInTable(): Promise<readonly number[]> {
    const { rows } = await this.admin.query<{ id: number }>('SELECT id FROM relay_members ORDER BY id');
    return rows.map(({ id }) => id);
  }

  async topicAhead(): Promise<boolean | undefined> {
    const { rows } = await this.admin.query<{ topic_ahead: boolean }>('SELECT topic_ahead FROM genesis_settings');
    return rows[0]?.topic_ahead;
  }

  /** By the database's clock, which decides. */
  async untilExpired(shard: number): Promise<void> {
    const expired = 'SELECT FROM relay_shards WHERE shard = $1 AND expires_at <= clock_timestamp()';
    await vi.waitFor(async () => expect((await this.admin.query(expired, [shard])).rows).toHaveLength(1), PATIENCE);
  }

  /** As if the member had said nothing for a lease's term. */
  async expire(member: Membership): Promise<void> {
    await this.admin.query('UPDATE relay_members SET expires_at = clock_timestamp() WHERE id = $1', [member.id]);
    await this.admin.query('UPDATE relay_shards SET expires_at = clock_timestamp() WHERE owner = $1', [member.id]);
  }

  async #open(): Promise<void> {
    this.#database = await createTestDatabase();
    this.#admin = new pg.Client({ connectionString: this.url });
    await this.#admin.connect();
  }

  async #reset(): Promise<void> {
    await this.admin.query(
      `UPDATE relay_shards SET owner = NULL, expires_at = NULL, epoch = 0, transactional_ids = '{}', floor = 1, position = 0,
         paused = false, topic_ahead_at = NULL, state = 'free', last_progress_at = NULL, last_error = NULL`,
    );
    await this.admin.query('UPDATE genesis_settings SET topic_ahead = false');
    await this.admin.query('DELETE FROM relay_members');
  }

  async #close(): Promise<void> {
    await this.#admin?.end();
    await this.#database?.drop();
  }
}

export function report(shard: number, told: Partial<ShardReport> = {}): ShardReport {
  return { shard, floor: 1, position: '0', state: 'active', lastProgressAt: null, lastError: null, ...told };
}

/** The shards that nobody holds, as the member sees it. */
export async function vacantIn(member: Membership): Promise<readonly number[]> {
  const { view } = await member.beat([]);
  return view.shards.filter(({ vacant }) => vacant).map(({ shard }) => shard);
}
