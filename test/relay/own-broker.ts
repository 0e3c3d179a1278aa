import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeDataFolder, recall } from '../../local/data-folder.ts';
import { kafkaJars } from '../../local/kafka/jars.ts';
import { findKafkaRuntime } from '../../local/kafka/runtime.ts';
import { startKafka } from '../../local/kafka/start-kafka.ts';
import { choosePort } from '../../local/ports.ts';
import type { Child } from '../../local/processes.ts';

/** A broker that a test may kill. Its data and its port outlive it. */
export interface OwnBroker {
  readonly brokers: readonly string[];
  /** SIGKILL. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** SIGSTOP and SIGCONT: it answers nothing meanwhile, but its connections stay. */
  freeze(): void;
  thaw(): void;
  remove(): Promise<void>;
}

export async function startOwnBroker(): Promise<OwnBroker> {
  const folder = makeDataFolder(mkdtempSync(join(tmpdir(), 'genesis-broker-')));
  const forever = new AbortController().signal;
  const taken = new Set<number>();
  const wish = { variable: 'KAFKA_PORT', use: 'Kafka', taken };
  const ports = { port: await choosePort(wish), controllerPort: await choosePort(wish) };
  const jars = kafkaJars();
  const runtime = await findKafkaRuntime(jars, forever);
  if (runtime.kind !== 'java') throw new Error('this test kills brokers and needs Java 17 or newer');
  const { clusterId } = recall(folder).kafka;
  const launch = async (): Promise<Child> =>
    startKafka({ jars, runtime, folder, clusterId, ports, progress: () => {} }, forever);
  let child = await launch();
  const kill = async () => {
    await child.end([{ signal: 'SIGKILL', grace: 5_000 }]);
  };
  return {
    brokers: [`127.0.0.1:${ports.port}`],
    kill,
    async start() {
      child = await launch();
    },
    freeze: () => void process.kill(child.pid, 'SIGSTOP'),
    thaw: () => void process.kill(child.pid, 'SIGCONT'),
    async remove() {
      await kill();
      rmSync(folder.root, { recursive: true, force: true });
    },
  };
}
