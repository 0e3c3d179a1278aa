import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startLocalInfrastructure } from '../../local/local-infrastructure.ts';

export interface TestInfrastructure {
  /** postgres://… of a superuser, database `postgres`. */
  readonly postgresUrl: string;
  /** host:port */
  readonly brokers: string[];
  stop(): Promise<void>;
}

/** Where the servers of a test run come from. */
export type InfrastructureKind = 'embedded' | 'testcontainers';

/** @throws Error that names TEST_INFRA and what it takes */
export function infrastructureKind({ TEST_INFRA: kind = '' }: NodeJS.ProcessEnv): InfrastructureKind {
  if (kind === '' || kind === 'embedded') return 'embedded';
  if (kind === 'testcontainers') return kind;
  throw new Error(`TEST_INFRA must be embedded or testcontainers, not '${kind}'.`);
}

/**
 * PostgreSQL and Kafka for one test run: from packages, in a temporary folder that goes with `stop`, or with TEST_INFRA=testcontainers in
 * containers. With TEST_DATABASE_URL and TEST_KAFKA_BROKERS (both) it is those servers instead, for quick runs in a row.
 */
export async function startTestInfrastructure(): Promise<TestInfrastructure> {
  const { TEST_DATABASE_URL: postgresUrl = '', TEST_KAFKA_BROKERS: brokers = '' } = process.env;
  const kind = infrastructureKind(process.env);
  if (postgresUrl !== '' && brokers !== '') {
    return { postgresUrl, brokers: brokers.split(','), stop: () => Promise.resolve() };
  }
  if (postgresUrl !== '' || brokers !== '') {
    throw new Error('TEST_DATABASE_URL and TEST_KAFKA_BROKERS go together: set both or neither.');
  }
  // Loaded when it is asked for: most runs do without.
  return kind === 'embedded' ? startTemporary() : (await import('./containers.ts')).startTestContainers(process.env);
}

async function startTemporary(): Promise<TestInfrastructure> {
  const dataDir = await mkdtemp(join(tmpdir(), 'genesis-test-'));
  const remove = (): Promise<void> => rm(dataDir, { recursive: true, force: true, maxRetries: 3 });
  try {
    const infrastructure = await startLocalInfrastructure({
      dataDir,
      durable: false,
      progress: (line) => console.log(line),
    });
    return {
      postgresUrl: infrastructure.postgres.url,
      brokers: infrastructure.kafka.brokers,
      stop: async () => {
        await infrastructure.stop();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}
