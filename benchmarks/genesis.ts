import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { RelayFleet, type RelayProcess } from '../faults/relay-fleet.ts';
import { until } from '../faults/until.ts';
import type { KafkaConfig } from '../src/config.ts';
import { migrate } from '../src/postgres/migrate.ts';
import type { DeliveryMode } from '../src/relay/ports.ts';
import { startApi, type ApiProcess } from './api/api-process.ts';
import type { Closing } from './closing.ts';
import { PARTITIONS, type Servers } from './servers.ts';

/** Genesis as it is run in production: an API and a relay, in a process each. */
export interface Genesis {
  readonly databaseUrl: string;
  readonly database: pg.Pool;
  readonly kafka: KafkaConfig;
  readonly api: ApiProcess;
  readonly relay: RelayProcess;
  /** Signs the tokens. */
  readonly secret: string;
}

export interface GenesisOptions {
  /** Of its database and topic. */
  readonly name: string;
  readonly delivery: DeliveryMode;
  /** Settings of the API and the relay that differ from their defaults. */
  readonly env: Readonly<Record<string, string>>;
}

const ROOT = join(import.meta.dirname, '..');

/** Its database and its topic are its own. Resolves when the API answers and the relay holds all shards. */
export async function openGenesis(closing: Closing, servers: Servers, options: GenesisOptions): Promise<Genesis> {
  const { name, delivery, env } = options;
  const databaseUrl = await servers.postgres.createDatabase(name);
  await migrate(databaseUrl);
  const kafka = await createTopic(servers, name);
  const folder = join(servers.folder, name);
  mkdirSync(folder);
  const settings = { KAFKA_BROKERS: kafka.brokers.join(','), KAFKA_TOPIC: kafka.topic, ...env };
  const secret = randomBytes(32).toString('hex');
  const database = await openPool(closing, databaseUrl);
  const api = await closing.open(
    () => startApi({ databaseUrl, folder, secret, env: settings, nodeOptions: [] }),
    (running) => running.stop(),
  );
  const relays = new RelayFleet({
    code: ROOT,
    folder,
    env: { DATABASE_URL: databaseUrl, RELAY_DELIVERY: delivery, LOCAL_DATA_DIR: folder, ...settings },
  });
  const relay = await closing.open(
    () => Promise.resolve(relays.start()),
    () => relays.stopAll(),
  );
  await until('a relay that holds all shards', async () => {
    const { rows } = await database.query('SELECT FROM relay_shards WHERE owner IS NULL');
    return rows.length === 0;
  });
  return { databaseUrl, database, kafka, api, relay, secret };
}

/** A new topic with the settings of production. */
export async function createTopic({ cluster }: Pick<Servers, 'cluster'>, topic: string): Promise<KafkaConfig> {
  await cluster.admin.createTopic(topic, { partitions: PARTITIONS, ...cluster.replication });
  return { brokers: cluster.brokers, topic };
}

export function openPool(closing: Closing, connectionString: string): Promise<pg.Pool> {
  const pool = new pg.Pool({ connectionString, max: 4 });
  // A connection that ends with its server is not the news.
  pool.on('error', () => {});
  return closing.open(
    () => Promise.resolve(pool),
    () => pool.end(),
  );
}

/** Resolves once no row waits to be sent. */
export async function untilDrained(database: pg.Pool, within = 120_000): Promise<void> {
  await until(
    'an empty backlog',
    async () => {
      const { rows } = await database.query<{ empty: boolean }>(
        `SELECT NOT EXISTS (SELECT FROM event_outbox WHERE status = 'PENDING') AS empty`,
      );
      return rows[0]?.empty === true;
    },
    { every: 50, within },
  );
}
