import { readEndpoints } from '../cli/endpoints-file.ts';
import type { Config, DatabaseConfig, KafkaConfig } from '../config.ts';
import { migrate } from '../postgres/migrate.ts';

/** Name of the database in the own PostgreSQL. */
const DATABASE = 'infinite_scribe';

/** Where PostgreSQL and Kafka are, and who ends them. */
export interface Infrastructure {
  readonly database: DatabaseConfig;
  readonly kafka: KafkaConfig;
  /** `own`: started by this process; `neighbour`: of the instance that runs in this folder; `configured`: by the environment. */
  readonly origin: 'own' | 'neighbour' | 'configured';
  /** Resolves with the reason if it ends by itself; never, unless it is our own. */
  readonly failed: Promise<Error>;
  stop(): Promise<void>;
}

export interface InfrastructureOptions {
  /** Whether to use what an instance in this folder has started, rather than refuse to run beside it. */
  readonly joinNeighbour: boolean;
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
}

/** The configured PostgreSQL and Kafka or, in development, our own: ready to use, the own database at the newest schema. */
export async function provideInfrastructure(config: Config, options: InfrastructureOptions): Promise<Infrastructure> {
  const { database, kafka } = config;
  if (database !== null && kafka !== null) {
    return {
      database,
      kafka,
      origin: 'configured',
      failed: new Promise(() => undefined),
      stop: () => Promise.resolve(),
    };
  }
  const neighbour = options.joinNeighbour ? await readEndpoints(config.local.dataDir) : null;
  if (neighbour !== null) {
    const failed = new Promise<Error>(() => undefined);
    return {
      ...at(config, neighbour.postgres, neighbour.kafka),
      origin: 'neighbour',
      failed,
      stop: () => Promise.resolve(),
    };
  }
  return startOwn(config, options);
}

async function startOwn(config: Config, { progress, signal }: InfrastructureOptions): Promise<Infrastructure> {
  // Loaded only when needed: an installation for production does without it.
  const { startLocalInfrastructure, ensureDatabase } = await import('../../local/local-infrastructure.ts');
  progress('Starting PostgreSQL and Kafka …');
  const local = await startLocalInfrastructure({ ...config.local, progress, signal });
  try {
    const url = await ensureDatabase(local.postgres.url, DATABASE);
    await migrate(url, { onApplied: (name) => progress(`Applied migration ${name}`), contract: true });
    return { ...at(config, url, local.kafka.brokers), origin: 'own', failed: local.failed, stop: () => local.stop() };
  } catch (error) {
    await local.stop();
    throw error;
  }
}

function at(
  { poolSize, topic }: Config,
  url: string,
  brokers: readonly string[],
): Pick<Infrastructure, 'database' | 'kafka'> {
  return { database: { url, poolSize }, kafka: { brokers, topic, replication: 1 } };
}
