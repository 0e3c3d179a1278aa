import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import type { KafkaCluster } from '../../faults/kafka-cluster.ts';
import type { PostgresServer } from '../../faults/postgres-server.ts';
import { RelayFleet } from '../../faults/relay-fleet.ts';
import type { KafkaConfig } from '../../src/config.ts';
import { migrate } from '../../src/postgres/migrate.ts';
import type { DeliveryMode } from '../../src/relay/ports.ts';

/** What all measurements stand on. */
export interface Stage {
  readonly postgres: PostgresServer;
  readonly cluster: KafkaCluster;
  readonly folder: string;
  /** Prints one line of JSON. */
  readonly report: (figures: object) => void;
}

/** A database and a topic of one measurement. */
export interface Place {
  readonly databaseUrl: string;
  readonly database: pg.Pool;
  readonly kafka: KafkaConfig;
  readonly relays: RelayFleet;
  close(): Promise<void>;
}

export const PARTITIONS = 8;
const ROOT = join(import.meta.dirname, '..', '..');

/** A name that nothing else has. */
export function newName(): string {
  return `bench_${randomBytes(5).toString('hex')}`;
}

/** A migrated database. */
export async function createDatabase({ postgres }: Stage): Promise<string> {
  const name = newName();
  await migrate(await postgres.createDatabase(name));
  return name;
}

export interface PlaceOptions {
  /** Of the topic. Default 8, as a new database has shards. */
  readonly partitions?: number;
  /** Settings of the relays besides. */
  readonly env?: Readonly<Record<string, string>>;
}

/** @param database Its name; it is dropped at the end. */
export async function openPlace(
  stage: Stage,
  database: string,
  delivery: DeliveryMode,
  { partitions = PARTITIONS, env: more = {} }: PlaceOptions = {},
): Promise<Place> {
  const { cluster, postgres, folder } = stage;
  const topic = newName();
  await cluster.admin.createTopic(topic, { partitions, ...cluster.replication });
  const databaseUrl = postgres.url(database);
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 4 });
  pool.on('error', () => {});
  const own = join(folder, topic);
  mkdirSync(own);
  const env = {
    DATABASE_URL: databaseUrl,
    KAFKA_BROKERS: cluster.brokers.join(','),
    KAFKA_TOPIC: topic,
    RELAY_DELIVERY: delivery,
    LOCAL_DATA_DIR: own,
    LOG_LEVEL: 'INFO',
    ...more,
  };
  const relays = new RelayFleet({ code: ROOT, folder: own, env });
  return {
    databaseUrl,
    database: pool,
    kafka: { brokers: cluster.brokers, topic },
    relays,
    async close() {
      await relays.stopAll();
      await pool.end();
      await asAdmin(stage, (admin) => admin.query(`DROP DATABASE ${admin.escapeIdentifier(database)} WITH (FORCE)`));
    },
  };
}

export async function asAdmin<Result>(
  { postgres }: Stage,
  use: (admin: pg.Client) => Promise<Result>,
): Promise<Result> {
  const admin = new pg.Client({ connectionString: postgres.url('postgres') });
  await admin.connect();
  try {
    return await use(admin);
  } finally {
    await admin.end();
  }
}
