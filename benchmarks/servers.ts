import { join } from 'node:path';
import pg from 'pg';
import { startKafkaCluster, type KafkaCluster } from '../faults/kafka-cluster.ts';
import { startPostgresServer, type PostgresServer } from '../faults/postgres-server.ts';
import type { Closing } from './closing.ts';
import { describeMachine, type Machine } from './machine.ts';

/** Partitions of every topic: as many as the shards of a new database. */
export const PARTITIONS = 8;
/** Heap of the broker, in MiB. */
const HEAP = 512;

/** A PostgreSQL that forces everything to disk, and a Kafka of one broker. */
export interface Servers {
  readonly folder: string;
  readonly postgres: PostgresServer;
  readonly cluster: KafkaCluster;
  readonly machine: Machine;
}

export async function openServers(closing: Closing, folder: string): Promise<Servers> {
  const postgres = await openPostgres(closing, folder);
  const cluster = await closing.open(
    () => startKafkaCluster({ brokers: 1, folder, heap: HEAP }),
    (running) => running.stop(),
  );
  return { folder, postgres, cluster, machine: await introduce(postgres) };
}

export async function openPostgres(closing: Closing, folder: string): Promise<PostgresServer> {
  const server = await closing.open(
    () => startPostgresServer(join(folder, 'postgres')),
    (running) => running.stop(),
  );
  await keepLogFiles(server);
  return server;
}

/**
 * Two settings of servers that write much. A new server makes each log file anew: 16 MB of zeros forced to disk while all commits wait; a
 * checkpoint keeps used ones for later, from now on up to 1 GB of them. And with 1 GB of log between checkpoints (the default) one would
 * begin every half minute: with a stop of a third of a second for all commits.
 */
async function keepLogFiles(server: PostgresServer): Promise<void> {
  const client = new pg.Client({ connectionString: server.url('postgres') });
  await client.connect();
  try {
    await client.query(`ALTER SYSTEM SET min_wal_size = '1GB'`);
    await client.query(`ALTER SYSTEM SET max_wal_size = '8GB'`);
    await client.query('SELECT pg_reload_conf()');
  } finally {
    await client.end();
  }
}

/** Says for people on what is measured. */
export async function introduce(postgres: PostgresServer): Promise<Machine> {
  const machine = await describeMachine(postgres.url('postgres'));
  const { cpu, cores, node, postgres: version, kafka } = machine;
  console.log(`${cpu}, ${cores} cores, Node ${node}, PostgreSQL ${version}, Kafka ${kafka}\n`);
  return machine;
}
