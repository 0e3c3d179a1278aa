import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { startPostgresServer, type PostgresServer } from '../../faults/postgres-server.ts';
import { until } from '../../faults/until.ts';
import { cpuOfFamily } from '../api/cpu.ts';

const DATABASE = 'debezium';
/** Rows of a copy, and of a transaction of the backlog: large ones, the cheapest to decode. */
const STEP = 20_000;

/** The form that Debezium's documentation gives it, and the event's place in its stream. */
const COLUMNS = `id uuid PRIMARY KEY, aggregatetype varchar(255) NOT NULL, aggregateid varchar(255) NOT NULL,
                 type varchar(255) NOT NULL, payload text NOT NULL, sequence varchar(20) NOT NULL`;

const READ = `SELECT o.id AS number, event_id AS id, key AS aggregateid, headers->>'ce_type' AS type, payload, sequence::text
              FROM event_outbox o WHERE o.id > $1 ORDER BY o.id LIMIT $2`;

const KEEP = `INSERT INTO kept (id, aggregatetype, aggregateid, type, payload, sequence)
              SELECT id, 'GENESIS_SESSION', aggregateid, type, payload, sequence
              FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[]) AS r (id, aggregateid, type, payload, sequence)`;

const WRITE = `INSERT INTO outbox SELECT id, aggregatetype, aggregateid, type, payload, sequence FROM kept
               WHERE number > $1 AND number <= $1 + $2 ORDER BY number`;

const FIELDS = ['id', 'aggregateid', 'type', 'payload', 'sequence'] as const;

/**
 * An insert-only outbox in a PostgreSQL of its own: only this one logs what logical replication needs (`wal_level`), which
 * the relay's server does not have to pay for.
 */
export class TextbookOutbox {
  readonly #server: PostgresServer;
  readonly #client: pg.Client;

  private constructor(server: PostgresServer, client: pg.Client) {
    this.#server = server;
    this.#client = client;
  }

  static async start(folder: string): Promise<TextbookOutbox> {
    const server = await startPostgresServer(folder);
    try {
      const admin = new pg.Client({ connectionString: server.url('postgres') });
      await admin.connect();
      await admin.query('ALTER SYSTEM SET wal_level = logical');
      await admin.end();
      await server.kill('SIGINT');
      await server.start();
      const client = new pg.Client({ connectionString: await server.createDatabase(DATABASE) });
      // The server's end at stop() must not be an unheard error.
      client.on('error', () => {});
      await client.connect();
      await client.query(
        `CREATE TABLE kept (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ${COLUMNS.replace(' PRIMARY KEY', '')})`,
      );
      return new TextbookOutbox(server, client);
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  get url(): string {
    return this.#server.url(DATABASE);
  }

  /** Seconds of CPU of the server so far. */
  cpu(): number {
    return cpuOfFamily(this.#server.pid()) / 1e6;
  }

  /** Keeps the events of a relay's outbox: the same keys and values, byte for byte. Replaces what was kept. */
  async keep(databaseUrl: string): Promise<void> {
    const source = new pg.Client({ connectionString: databaseUrl });
    await source.connect();
    try {
      await this.#client.query('TRUNCATE kept RESTART IDENTITY');
      for (let last = '0'; ;) {
        const { rows } = await source.query<Record<(typeof FIELDS)[number] | 'number', string>>(READ, [last, STEP]);
        const end = rows.at(-1)?.number;
        if (end === undefined) break;
        await this.#client.query(
          KEEP,
          FIELDS.map((field) => rows.map((row) => row[field])),
        );
        last = end;
      }
    } finally {
      // A database with connections can't be cloned.
      await source.end();
    }
  }

  /** A new table, and a slot and a publication of the name that is answered; then so many of the kept events. */
  async write(events: number): Promise<string> {
    const name = `bench_${randomBytes(5).toString('hex')}`;
    await this.#client.query(`DROP TABLE IF EXISTS outbox; CREATE TABLE outbox (${COLUMNS})`);
    await this.#client.query(`CREATE PUBLICATION ${name} FOR TABLE outbox`);
    await this.#client.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [name]);
    for (let from = 0; from < events; from += STEP) {
      await this.#client.query(WRITE, [from, Math.min(STEP, events - from)]);
    }
    await this.#client.query('VACUUM (FREEZE, ANALYZE) outbox');
    await this.#client.query('CHECKPOINT');
    return name;
  }

  /** After its reader has ended. */
  async drop(name: string): Promise<void> {
    await until(`the end of ${name}'s reader`, async () => {
      const { rows } = await this.#client.query('SELECT FROM pg_replication_slots WHERE slot_name = $1 AND active', [
        name,
      ]);
      return rows.length === 0;
    });
    await this.#client.query('SELECT pg_drop_replication_slot($1)', [name]);
    await this.#client.query(`DROP PUBLICATION ${name}`);
  }

  async stop(): Promise<void> {
    await this.#client.end().catch(() => {});
    await this.#server.stop();
  }
}
