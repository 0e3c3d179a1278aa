import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { shardOf } from '../../src/outbox/shard.ts';
import { PARTITIONS } from './stage.ts';

/** Events like those of a command of feedback: a value of some 800 bytes, ten headers, a session's next version each. */
const INSERT = `
  WITH numbered AS (
    SELECT n, s.id AS key, s.shard, (n / $3)::int + 1 AS sequence, gen_random_uuid() AS event_id
    FROM generate_series($1::bigint, $2::bigint - 1) AS n JOIN bench_sessions s ON s.number = n % $3
  ), stored AS (
    INSERT INTO domain_events (event_id, aggregate_type, aggregate_id, aggregate_version, event_type, event_version, payload, metadata,
                               correlation_id, causation_id, created_at)
    SELECT event_id, 'GENESIS_SESSION', key, sequence, 'Genesis.Session.Submitted', 1,
           json_build_object('feedback', repeat('feedback ', $4)), '{"user_id":"ada","source_service":"genesis"}', event_id, event_id, now()
    FROM numbered
  )
  INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers)
  SELECT event_id, $5, key, shard, sequence,
         '{"event_id":"' || event_id || '","event_type":"Genesis.Session.Submitted","event_version":1,"aggregate_type":"GENESIS_SESSION","aggregate_id":"'
         || key || '","aggregate_version":' || sequence || ',"correlation_id":"' || event_id || '","causation_id":"' || event_id
         || '","occurred_at":"2026-11-23T09:00:00.000Z","payload":{"feedback":"' || repeat('feedback ', $4)
         || '"},"metadata":{"user_id":"ada","source_service":"genesis"}}',
         json_build_object('ce_specversion', '1.0', 'ce_id', event_id, 'ce_source', '/genesis/sessions',
           'ce_type', 'Genesis.Session.Submitted', 'ce_time', '2026-11-23T09:00:00.000Z', 'ce_subject', key,
           'content-type', 'application/json', 'sequence', sequence::text, 'previous', event_id)
  FROM numbered ORDER BY n`;

/** Length of the word that the payload repeats. */
const WORD = 9;

export interface Backlog {
  readonly databaseUrl: string;
  readonly topic: string;
  readonly sessions: number;
  /** About so many bytes of payload in each event. */
  readonly payload: number;
  /** Default 8. */
  readonly shards?: number;
}

/** Writes events as fast as one statement after the other can, bypassing commands: the relay is to be measured, not they. */
export class BacklogWriter {
  readonly #client: pg.Client;
  readonly #backlog: Backlog;
  #written = 0;

  private constructor(backlog: Backlog) {
    this.#backlog = backlog;
    this.#client = new pg.Client({ connectionString: backlog.databaseUrl });
    // Whoever writes learns it; without a listener an interrupted benchmark would end before its servers.
    this.#client.on('error', () => undefined);
  }

  static async open(backlog: Backlog): Promise<BacklogWriter> {
    const writer = new BacklogWriter(backlog);
    const client = writer.#client;
    await client.connect();
    await client.query('CREATE TABLE bench_sessions (number bigint PRIMARY KEY, id uuid NOT NULL, shard int NOT NULL)');
    const ids = Array.from({ length: backlog.sessions }, () => uuidv7());
    await client.query(
      'INSERT INTO bench_sessions SELECT n - 1, id, shard FROM unnest($1::uuid[], $2::int[]) WITH ORDINALITY AS s (id, shard, n)',
      [ids, ids.map((id) => shardOf(id, backlog.shards ?? PARTITIONS))],
    );
    return writer;
  }

  get written(): number {
    return this.#written;
  }

  /** So many more events, in one transaction; each session gets one in turn. */
  async write(events: number): Promise<void> {
    const { sessions, payload, topic } = this.#backlog;
    const values = [this.#written, this.#written + events, sessions, Math.ceil(payload / WORD), topic];
    await this.#client.query(INSERT, values);
    this.#written += events;
  }

  async close(): Promise<void> {
    await this.#client.query('ANALYZE');
    await this.#client.end();
  }
}
