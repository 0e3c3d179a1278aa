import { cpus } from 'node:os';
import pg from 'pg';
import { kafkaJars } from '../local/kafka/jars.ts';

/** On what a figure was measured. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly node: string;
  readonly postgres: string;
  readonly kafka: string;
}

export async function describeMachine(databaseUrl: string): Promise<Machine> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const { rows } = await client.query<{ server_version: string }>('SHOW server_version');
  await client.end();
  return {
    cpu: cpus()[0]?.model ?? 'unknown processor',
    cores: cpus().length,
    node: process.versions.node,
    postgres: rows[0]?.server_version ?? 'unknown',
    kafka: kafkaJars().version,
  };
}
