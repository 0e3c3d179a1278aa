import { PostgreSqlContainer } from '@testcontainers/postgresql';
import { GenericContainer, Wait, type StartedTestContainer } from 'testcontainers';
import { kafkaJars } from '../../local/kafka/jars.ts';
import { kafkaSettings } from '../../local/kafka/settings.ts';
import { choosePort, LOOPBACK } from '../../local/ports.ts';
import type { TestInfrastructure } from './infrastructure.ts';

/** Milliseconds until a server that is not ready has failed. */
const READY_LIMIT = 120_000;
const KAFKA_DATA = '/var/lib/kafka/data';

/** Which images: of the versions that the project runs on unless said otherwise. */
export function imagesOf({ TEST_POSTGRES_IMAGE: postgres = '', TEST_KAFKA_IMAGE: kafka = '' }: NodeJS.ProcessEnv): {
  readonly postgres: string;
  readonly kafka: string;
} {
  return { postgres: postgres || 'postgres:18', kafka: kafka || `apache/kafka:${kafkaJars().version}` };
}

/**
 * PostgreSQL and Kafka in containers, with the settings that the embedded ones have. Docker must be on this machine: tests
 * reach both by the loopback address.
 *
 * @throws whatever Testcontainers says; nothing of it runs any more then
 */
export async function startTestContainers(env: NodeJS.ProcessEnv): Promise<TestInfrastructure> {
  const images = imagesOf(env);
  const started = await Promise.allSettled([startPostgres(images.postgres), startKafka(images.kafka)]);
  const stop = async () => {
    await Promise.all(started.flatMap((each) => (each.status === 'fulfilled' ? [each.value.stop()] : [])));
  };
  const [postgres, kafka] = started;
  if (postgres.status === 'fulfilled' && kafka.status === 'fulfilled') {
    return { postgresUrl: postgres.value.url, brokers: [kafka.value.broker], stop };
  }
  await stop();
  throw [postgres, kafka].find((each) => each.status === 'rejected')?.reason;
}

/** Found nowhere else: tests look whether it is told. */
const PASSWORD = 'password-of-the-test-container';

async function startPostgres(image: string): Promise<{ url: string; stop(): Promise<void> }> {
  const settings = {
    max_connections: '200',
    shared_buffers: '256MB',
    timezone: 'UTC',
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
  };
  const container = await new PostgreSqlContainer(image)
    .withDatabase('postgres')
    .withUsername('genesis')
    .withPassword(PASSWORD)
    .withSharedMemorySize(256 * 1024 * 1024)
    .withCommand(['postgres', ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])])
    .withStartupTimeout(READY_LIMIT)
    .start();
  // Not the host that Testcontainers names, which may be a bridge's address: tests put proxies before the server, on the loopback address.
  const url = `postgres://genesis:${PASSWORD}@${LOOPBACK}:${container.getPort()}/postgres`;
  return { url, stop: () => end(container) };
}

/** With a port chosen beforehand, because a broker has to tell its clients where they reach it. */
async function startKafka(image: string): Promise<{ broker: string; stop(): Promise<void> }> {
  const wish = { variable: 'TEST_KAFKA_BROKERS', use: 'Kafka', taken: new Set<number>() };
  const ports = { port: await choosePort(wish), controllerPort: await choosePort(wish) };
  const settings = Object.entries(kafkaSettings(ports, '0.0.0.0', KAFKA_DATA));
  // How the official image reads settings: KAFKA_ and the name in capitals with underscores.
  const environment = settings.map(([name, value]): [string, string] => [
    `KAFKA_${name.toUpperCase().replaceAll('.', '_')}`,
    value,
  ]);
  const container = await new GenericContainer(image)
    .withEnvironment({ ...Object.fromEntries(environment), KAFKA_HEAP_OPTS: '-Xmx512m' })
    .withExposedPorts({ container: ports.port, host: ports.port })
    .withWaitStrategy(Wait.forAll([Wait.forLogMessage(/Kafka Server started/u), Wait.forListeningPorts()]))
    .withStartupTimeout(READY_LIMIT)
    .start();
  return { broker: `${LOOPBACK}:${ports.port}`, stop: () => end(container) };
}

async function end(container: StartedTestContainer): Promise<void> {
  await container.stop({ timeout: 10_000, remove: true, removeVolumes: true });
}
