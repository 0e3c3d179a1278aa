import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startKafkaCluster, type KafkaCluster } from './kafka-cluster.ts';
import { startPostgresServer, type PostgresServer } from './postgres-server.ts';

/** What a scenario needs to run on. */
export interface Needs {
  readonly brokers: 1 | 3;
  readonly guarded?: boolean;
}

/** Servers that several runs may share, one after the other; each run has a database and a topic of its own. */
export interface Infrastructure {
  readonly postgres: PostgresServer;
  readonly cluster: KafkaCluster;
}

/** Starts what was killed, and lets go on what was frozen: nothing of a run's faults outlives it. */
export async function heal({ postgres, cluster }: Infrastructure): Promise<void> {
  if (!postgres.isRunning()) await postgres.start();
  for (const node of cluster.nodes) if (node.isRunning()) node.thaw();
  await Promise.all(cluster.nodes.filter((node) => !node.isRunning()).map((node) => node.start()));
  await cluster.admin.untilBrokers(cluster.nodes.length);
}

/** Starts servers when they are first needed; keeps the last ones for the next run. */
export class InfrastructurePool {
  readonly #folder: string;
  #postgres: PostgresServer | null = null;
  #cluster: { readonly kind: string; readonly cluster: KafkaCluster } | null = null;
  #made = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async provide({ brokers, guarded = false }: Needs): Promise<Infrastructure> {
    this.#postgres ??= await startPostgresServer(join(this.#folder, 'postgres-server'));
    const kind = `${brokers} ${guarded ? 'guarded' : 'open'}`;
    if (this.#cluster?.kind !== kind) {
      await this.#cluster?.cluster.stop();
      this.#cluster = null;
      this.#made += 1;
      const folder = join(this.#folder, `kafka-${this.#made}`);
      mkdirSync(folder, { recursive: true });
      this.#cluster = { kind, cluster: await startKafkaCluster({ brokers, folder, guarded }) };
    }
    return { postgres: this.#postgres, cluster: this.#cluster.cluster };
  }

  /** After a run that went wrong: what it left behind is nobody's start. */
  async discard(): Promise<void> {
    await this.#cluster?.cluster.stop();
    this.#cluster = null;
  }

  async stop(): Promise<void> {
    await this.discard();
    await this.#postgres?.stop();
    this.#postgres = null;
  }
}
