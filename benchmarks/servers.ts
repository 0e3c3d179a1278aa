import { join } from 'node:path';
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

export function openPostgres(closing: Closing, folder: string): Promise<PostgresServer> {
  return closing.open(
    () => startPostgresServer(join(folder, 'postgres')),
    (server) => server.stop(),
  );
}

/** Says for people on what is measured. */
export async function introduce(postgres: PostgresServer): Promise<Machine> {
  const machine = await describeMachine(postgres.url('postgres'));
  const { cpu, cores, node, postgres: version, kafka } = machine;
  console.log(`${cpu}, ${cores} cores, Node ${node}, PostgreSQL ${version}, Kafka ${kafka}\n`);
  return machine;
}
