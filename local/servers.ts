import type { DataFolder, Remembered } from './data-folder.ts';
import { exists, recall, remember } from './data-folder.ts';
import type { Endpoints, KeeperOptions } from './keeper-protocol.ts';
import { checkKafkaData, KAFKA_END, kafkaLog } from './kafka/broker.ts';
import { kafkaJars } from './kafka/jars.ts';
import type { KafkaPlan } from './kafka/start-kafka.ts';
import { checkRuntime, startKafka } from './kafka/start-kafka.ts';
import { findKafkaRuntime } from './kafka/runtime.ts';
import type { KafkaPorts } from './kafka/settings.ts';
import { choosePort, LOOPBACK } from './ports.ts';
import { postgresBinaries } from './postgres/binaries.ts';
import { checkCluster, createCluster } from './postgres/cluster.ts';
import { runPostgresAs } from './postgres/run-as.ts';
import type { PostgresStart } from './postgres/server.ts';
import { POSTGRES_END, postgresLog, startPostgres } from './postgres/server.ts';
import type { Child } from './processes.ts';
import { logSize, readLog } from './processes.ts';
import { diedSentence } from './server-failure.ts';

type Progress = (line: string) => void;

/** All that is decided before anything is started. */
export interface ServersPlan {
  readonly endpoints: Endpoints;
  readonly credentials: Remembered['postgres'];
  readonly postgres: PostgresStart;
  readonly kafka: KafkaPlan;
}

export interface RunningServers {
  /** Resolves with a sentence when one of them ends before `stop`. */
  readonly died: Promise<string>;
  stop(): Promise<void>;
}

/** Finds what is needed, refuses what can't work, and writes down what must be the same next time. */
export async function prepareServers(
  folder: DataFolder,
  options: KeeperOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<ServersPlan> {
  const jars = kafkaJars();
  const before = recall(folder);
  checkKafkaData(jars, folder, before.kafka);
  const [binaries, runtime] = await Promise.all([postgresBinaries(), findKafkaRuntime(jars, signal)]);
  checkRuntime(runtime, folder, before.kafka);
  const runAs = await runPostgresAs(binaries, folder, signal);
  await checkCluster({ binaries, runAs, folder }, signal);
  const { postgresPort, kafkaPorts } = await choosePorts(options, before);
  const after: Remembered = {
    postgres: { ...before.postgres, port: postgresPort },
    kafka: { ...before.kafka, ...kafkaPorts, version: jars.version, runtime: runtime.kind },
  };
  remember(folder, after);
  const { user, password } = after.postgres;
  return {
    endpoints: {
      postgresUrl: `postgres://${user}:${password}@${LOOPBACK}:${postgresPort}/postgres`,
      postgresPort,
      brokers: [`${LOOPBACK}:${kafkaPorts.port}`],
    },
    credentials: after.postgres,
    postgres: { binaries, runAs, folder, port: postgresPort, durable: options.durable, progress },
    kafka: { jars, runtime, folder, clusterId: after.kafka.clusterId, ports: kafkaPorts, progress },
  };
}

async function choosePorts(
  options: KeeperOptions,
  before: Remembered,
): Promise<{ postgresPort: number; kafkaPorts: KafkaPorts }> {
  // What is configured for Kafka may be what PostgreSQL had the last time.
  const taken = new Set(options.kafkaPort === undefined ? [] : [options.kafkaPort]);
  const postgresPort = await choosePort({
    configured: options.postgresPort,
    remembered: before.postgres.port,
    variable: 'LOCAL_POSTGRES_PORT',
    use: 'PostgreSQL',
    taken,
  });
  if (options.kafkaPort !== undefined && options.kafkaPort !== postgresPort) taken.delete(options.kafkaPort);
  const wish = { variable: 'LOCAL_KAFKA_PORT', use: 'Kafka', taken };
  const port = await choosePort({ ...wish, configured: options.kafkaPort, remembered: before.kafka.port });
  const controllerPort = await choosePort({ ...wish, remembered: before.kafka.controllerPort });
  return { postgresPort, kafkaPorts: { port, controllerPort } };
}

/** Starts both at once. If one fails, so does the other, and nothing runs any more when this rejects. */
export async function startServers(plan: ServersPlan, signal: AbortSignal): Promise<RunningServers> {
  const failing = new AbortController();
  const either = AbortSignal.any([signal, failing.signal]);
  const failures: unknown[] = [];
  const attempt = async (start: (signal: AbortSignal) => Promise<Child>): Promise<Child | undefined> => {
    try {
      return await start(either);
    } catch (error) {
      failures.push(error);
      failing.abort();
      return undefined;
    }
  };
  const [postgres, kafka] = await Promise.all([
    attempt((aborting) => createAndStart(plan, aborting)),
    attempt((aborting) => startKafka(plan.kafka, aborting)),
  ]);
  if (postgres !== undefined && kafka !== undefined && !signal.aborted) return running(plan, postgres, kafka);
  await Promise.all([postgres?.end(POSTGRES_END), kafka?.end(KAFKA_END)]);
  // The first is the cause; what came after it was called off.
  throw failures[0] ?? signal.reason;
}

async function createAndStart({ postgres, credentials }: ServersPlan, signal: AbortSignal): Promise<Child> {
  if (!exists(postgres.folder.postgres)) {
    postgres.progress('Creating the database cluster …');
    await createCluster(postgres, credentials, signal);
  }
  return startPostgres(postgres, signal);
}

function running({ postgres: { folder } }: ServersPlan, postgres: Child, kafka: Child): RunningServers {
  const obituary = async (name: string, child: Child, log: string): Promise<string> => {
    const offset = logSize(log);
    const exit = await child.exited;
    return diedSentence(name, exit, log, readLog(log, offset));
  };
  return {
    died: Promise.race([
      obituary('PostgreSQL', postgres, postgresLog(folder)),
      obituary('Kafka', kafka, kafkaLog(folder)),
    ]),
    stop: async () => {
      await Promise.all([postgres.end(POSTGRES_END), kafka.end(KAFKA_END)]);
    },
  };
}
