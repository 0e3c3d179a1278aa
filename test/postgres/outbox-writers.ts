import type pg from 'pg';
import { v7 as uuid } from 'uuid';
import type { OutboxRig } from './outbox-rig.ts';

/** Numbers in [0, 1) that a seed repeats. Source: mulberry32. */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Sessions with one event after another, written by many at once who take their ids early and commit late, or never. */
export class Writers {
  readonly #rig: OutboxRig;
  readonly #random: () => number;
  readonly #keys: readonly string[];

  constructor(rig: OutboxRig, seed: number) {
    this.#rig = rig;
    this.#random = randomOf(seed);
    this.#keys = Array.from({ length: 40 }, () => uuid());
  }

  /** Resolves when each of `count` writers has done its transactions. */
  async write(count: number, transactions: number): Promise<void> {
    await this.#rig.run('CREATE TABLE IF NOT EXISTS session_versions (key uuid PRIMARY KEY, version integer NOT NULL)');
    await this.#rig.run('INSERT INTO session_versions SELECT unnest($1::uuid[]), 0', [this.#keys]);
    await Promise.all(
      Array.from({ length: count }, async () => {
        const client = await this.#rig.connect();
        try {
          for (let n = 0; n < transactions; n += 1) await this.#transaction(client);
        } finally {
          await client.end();
        }
      }),
    );
  }

  async #transaction(client: pg.Client): Promise<void> {
    const keys = [...new Set([this.#key(), this.#key(), this.#key()])].slice(0, 1 + Math.floor(this.#random() * 3));
    await client.query('BEGIN');
    for (const key of keys.toSorted((one, other) => (one < other ? -1 : 1))) {
      await client.query('UPDATE session_versions SET version = version + 1 WHERE key = $1', [key]);
    }
    // Now and then a part fails and is done again: its ids are taken and gone.
    const failsFirst = this.#random() < 0.1;
    if (failsFirst) {
      await client.query('SAVEPOINT first');
      await this.#insert(client, keys);
      await client.query('ROLLBACK TO SAVEPOINT first');
    }
    await this.#insert(client, keys);
    await client.query('SELECT pg_sleep($1)', [this.#random() ** 4 * 0.06]);
    await client.query(this.#random() < 0.1 ? 'ROLLBACK' : 'COMMIT');
  }

  #insert(client: pg.Client, keys: readonly string[]): Promise<unknown> {
    return client.query(
      `INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers)
       SELECT uuidv7(), 't', key, ('x' || right(key::text, 1))::bit(4)::integer % 8, version, '{}', '{}'
       FROM session_versions WHERE key = ANY ($1::uuid[]) ORDER BY key`,
      [keys],
    );
  }

  /** Every second one from a few that everybody writes to. */
  #key(): string {
    const among = this.#random() < 0.5 ? 4 : this.#keys.length;
    return this.#keys[Math.floor(this.#random() * among)] ?? '';
  }
}
