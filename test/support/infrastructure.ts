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

/**
 * PostgreSQL and Kafka for one test run, in a temporary folder that goes with `stop`.
 * With TEST_DATABASE_URL and TEST_KAFKA_BROKERS (both) it is those servers instead, for quick runs in a row.
 */
export async function startTestInfrastructure(): Promise<TestInfrastructure> {
  const { TEST_DATABASE_URL: postgresUrl = '', TEST_KAFKA_BROKERS: brokers = '' } = process.env;
  if (postgresUrl !== '' && brokers !== '') {
    return { postgresUrl, brokers: brokers.split(','), stop: () => Promise.resolve() };
  }
  if (postgresUrl !== '' || brokers !== '') {
    throw new Error('TEST_DATABASE_URL and TEST_KAFKA_BROKERS go together: set both or neither.');
  }
  return startTemporary();
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
