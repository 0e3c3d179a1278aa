import { setTimeout as sleep } from 'node:timers/promises';
import {
  LeaseLost,
  type AcquiredShard,
  type Beat,
  type Membership,
  type OutboxStore,
  type ShardReport,
  type ShardView,
} from '../relay/ports.ts';
import { createOutboxStore } from './outbox-store.ts';
import { sql } from './sql.ts';
import { ConnectionLost, type WatchedConnection } from './watched-connection.ts';

const BEAT = sql('relay/beat');
const ACQUIRE = sql('relay/acquire');
const RELEASE = sql('relay/release');
const REPORT_TOPIC_AHEAD = sql('relay/report-topic-ahead');
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/iu;
const LEAVE = sql('relay/leave');

/** Milliseconds that the database may take to hear that we leave; it finds out by itself, too. */
const LEAVE_LIMIT = 1_000;

export interface Stay {
  readonly id: number;
  readonly transactionalId: string;
  /** Whether it writes in transactions: then its id is recorded with each shard that it acquires. */
  readonly transactional: boolean;
  readonly ttl: number;
  /** For beats: what else is asked keeps none of them waiting. Its session holds the member's advisory lock. */
  readonly leases: WatchedConnection;
  /** For claims, and all else that is asked of the outbox. */
  readonly outbox: WatchedConnection;
  /** For marks, which are written while the next rows are claimed. */
  readonly marks: WatchedConnection;
}

interface BeatRow {
  readonly members: readonly number[];
  readonly held: readonly number[];
  readonly shards: readonly ShardView[];
}

interface AcquiredRow {
  readonly shard: number;
  /** bigint: text. */
  readonly epoch: string;
  readonly floor: string;
  readonly position: string;
  readonly predecessors: readonly string[];
}

/** One row of relay_members and the three sessions that go with it. */
export class RelayMembership implements Membership {
  readonly id: number;
  readonly transactionalId: string;
  readonly ttl: number;
  readonly store: OutboxStore;
  readonly lost: AbortSignal;
  readonly #leases: WatchedConnection;
  readonly #others: readonly WatchedConnection[];
  /** Null when its records are in no transaction. */
  readonly #recordedId: string | null;
  /** Of the shards that we acquired: what is reported counts for this one only. */
  readonly #epochs = new Map<number, number>();

  constructor({ id, transactionalId, transactional, ttl, leases, outbox, marks }: Stay) {
    this.id = id;
    this.transactionalId = transactionalId;
    this.ttl = ttl;
    this.#leases = leases;
    this.#others = [outbox, marks];
    this.#recordedId = transactional ? transactionalId : null;
    this.lost = AbortSignal.any([leases.lost, outbox.lost, marks.lost]);
    // One without the others is of no use; and while the session of the leases lives, others wait.
    this.lost.addEventListener('abort', () => this.#close(), { once: true });
    if (this.lost.aborted) this.#close();
    const queries = {
      claims: <Row>(text: string, values: readonly unknown[]) => this.#query<Row>(outbox, text, values),
      marks: <Row>(text: string, values: readonly unknown[]) => this.#query<Row>(marks, text, values),
    };
    this.store = createOutboxStore(queries, { id });
  }

  async beat(reports: readonly ShardReport[]): Promise<Beat> {
    const ids = this.#recordedId === null ? [] : [this.#recordedId];
    const values = [
      this.id,
      this.ttl,
      ids,
      ...this.#placesOf(reports),
      reports.map(({ state }) => state),
      ...newsOf(reports),
    ];
    const [row] = await this.#query<BeatRow>(this.#leases, BEAT, values);
    if (row === undefined) throw new Error('a beat gives one row');
    return { view: { members: row.members, shards: row.shards }, held: row.held };
  }

  async acquire(shards: readonly number[]): Promise<readonly AcquiredShard[]> {
    const values = [shards, this.id, this.ttl, this.#recordedId];
    const rows = await this.#query<AcquiredRow>(this.#leases, ACQUIRE, values);
    const acquired = rows.map((row) => ({ ...row, epoch: Number(row.epoch), floor: Number(row.floor) }));
    for (const { shard, epoch } of acquired) this.#epochs.set(shard, epoch);
    return acquired;
  }

  async release(shards: readonly ShardReport[], inDoubt = false): Promise<void> {
    const ended = inDoubt ? null : this.#recordedId;
    const values = [this.id, ...this.#placesOf(shards), ...newsOf(shards), ended];
    await this.#query(this.#leases, RELEASE, values);
  }

  async reportTopicAhead(shard: number, offset: string, eventId: string): Promise<void> {
    const values = [this.id, shard, offset, UUID.test(eventId) ? eventId : null];
    const ours = await this.#query(this.#leases, REPORT_TOPIC_AHEAD, values);
    if (ours.length === 0) throw new LeaseLost(`shard ${shard} is no longer ours`);
  }

  async leave(): Promise<void> {
    const told = this.#query(this.#leases, LEAVE, [this.id]).catch(() => {});
    await Promise.race([told, sleep(LEAVE_LIMIT, undefined, { ref: false })]);
    this.#close();
  }

  /** Columns of shards, epochs, floors and positions. Of a shard that was never ours there is no epoch: it matches no row. */
  #placesOf(reports: readonly ShardReport[]): readonly unknown[] {
    return [
      reports.map(({ shard }) => shard),
      reports.map(({ shard }) => this.#epochs.get(shard) ?? null),
      reports.map(({ floor }) => floor),
      reports.map(({ position }) => position),
    ];
  }

  async #query<Row>(connection: WatchedConnection, text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    try {
      const rows = await connection.query<Row>(text, values);
      // Another connection may have ended meanwhile.
      if (this.lost.aborted) throw this.#gone();
      return rows;
    } catch (error) {
      throw error instanceof ConnectionLost ? this.#gone() : error;
    }
  }

  #gone(): LeaseLost {
    return new LeaseLost(`the connection of relay ${this.id} to the database is gone`, { cause: this.lost.reason });
  }

  #close(): void {
    this.#leases.close();
    for (const connection of this.#others) connection.close();
  }
}

/** Columns of times of progress and last errors. */
function newsOf(reports: readonly ShardReport[]): readonly unknown[] {
  return [reports.map(({ lastProgressAt }) => lastProgressAt), reports.map(({ lastError }) => lastError)];
}
