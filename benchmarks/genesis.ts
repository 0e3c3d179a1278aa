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

/** Settings that differ from their defaults. */
export type Settings = Readonly<Record<string, string>>;

/** The API in a process of its own, with a database and a topic of its own. */
export interface GenesisApi {
  readonly databaseUrl: string;
  readonly database: pg.Pool;
  readonly kafka: KafkaConfig;
  readonly api: ApiProcess;
  /** Signs the tokens. */
  readonly secret: string;
  /** Where logs go. */
  readonly folder: string;
}

/** Genesis as it is run in production: an API and a relay, in a process each. */
export interface Genesis extends GenesisApi {
  readonly relay: RelayProcess;
}

const ROOT = join(import.meta.dirname, '..');

/** @param name Of its database and topic. */
export async function openApi(closing: Closing, servers: Servers, name: string, env: Settings): Promise<GenesisApi> {
  const databaseUrl = await servers.postgres.createDatabase(name);
  await migrate(databaseUrl);
  const kafka = await createTopic(servers, name);
  const folder = join(servers.folder, name);
  mkdirSync(folder);
  const secret = randomBytes(32).toString('hex');
  const database = await openPool(closing, databaseUrl);
  const api = await closing.open(
    () => startApi({ databaseUrl, folder, secret, env: { KAFKA_TOPIC: kafka.topic, ...env }, nodeOptions: [] }),
    (running) => running.stop(),
  );
  return { databaseUrl, database, kafka, api, secret, folder };
}

/** Starts a relay; resolves at once. */
export function startRelay(
  closing: Closing,
  { databaseUrl, kafka, folder }: GenesisApi,
  delivery: DeliveryMode,
  env: Settings,
): Promise<RelayProcess> {
  const settings = {
    DATABASE_URL: databaseUrl,
    KAFKA_BROKERS: kafka.brokers.join(','),
    KAFKA_TOPIC: kafka.topic,
    RELAY_DELIVERY: delivery,
    LOCAL_DATA_DIR: folder,
    ...env,
  };
  const relays = new RelayFleet({ code: ROOT, folder, env: settings });
  return closing.open(
    () => Promise.resolve(relays.start()),
    () => relays.stopAll(),
  );
}

/** Resolves when a relay holds all shards. */
export async function untilRelayHolds(database: pg.Pool): Promise<void> {
  await until('a relay that holds all shards', async () => {
    const { rows } = await database.query('SELECT FROM relay_shards WHERE owner IS NULL');
    return rows.length === 0;
  });
}

export interface GenesisOptions {
  /** Of its database and topic. */
  readonly name: string;
  readonly delivery: DeliveryMode;
  /** Of the API and the relay. */
  readonly env: Settings;
}

/** Resolves when the API answers and the relay holds all shards. */
export async function openGenesis(closing: Closing, servers: Servers, options: GenesisOptions): Promise<Genesis> {
  const { name, delivery, env } = options;
  const service = await openApi(closing, servers, name, env);
  const relay = await startRelay(closing, service, delivery, env);
  await untilRelayHolds(service.database);
  return { ...service, relay };
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
