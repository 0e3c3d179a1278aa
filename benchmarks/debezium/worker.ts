import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { propertiesFile } from '../../local/kafka/settings.ts';
import { choosePort, LOOPBACK } from '../../local/ports.ts';
import { readLog, startServer, type Child } from '../../local/processes.ts';
import type { KafkaConfig } from '../../src/config.ts';
import { cpuOf } from '../api/cpu.ts';
import type { Drainer } from '../relay/watch-drain.ts';
import type { DebeziumRuntime } from './runtime.ts';

/** Kafka's own start script sets these, but for the heap; no smaller compiler as for the short-lived brokers. */
const JVM = [
  ...['-Xms256m', '-Xmx1g', '-server', '-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20', '-XX:+ExplicitGCInvokesConcurrent'],
  ...['-XX:InitiatingHeapOccupancyPercent=35', '-Djava.awt.headless=true', '-XX:+ExitOnOutOfMemoryError'],
];
const END = [
  { signal: 'SIGTERM', grace: 15_000 },
  { signal: 'SIGKILL', grace: 5_000 },
] as const;
const STRING = 'org.apache.kafka.connect.storage.StringConverter';

export interface WorkerPlan {
  readonly runtime: DebeziumRuntime;
  /** Must not be another's. */
  readonly folder: string;
  readonly databaseUrl: string;
  /** The replication slot and the publication. */
  readonly slot: string;
  readonly kafka: KafkaConfig;
}

/** A worker of Kafka Connect (standalone) with one connector. */
type Worker = Omit<Required<Drainer>, 'settled' | 'databaseCpu'> & { stop(): Promise<void> };

/** Starts the process; the connector is ready some ten seconds later. */
export async function startWorker(plan: WorkerPlan): Promise<Worker> {
  const { runtime, folder } = plan;
  mkdirSync(folder);
  const port = await choosePort({ variable: 'CONNECT_PORT', use: 'Kafka Connect', taken: new Set() });
  const [worker, connector] = [join(folder, 'worker.properties'), join(folder, 'connector.properties')];
  writeFileSync(worker, propertiesFile(workerSettings(plan, port)));
  writeFileSync(connector, propertiesFile(connectorSettings(plan)), { mode: 0o600 });
  const log = join(folder, 'connect.log');
  const main = ['org.apache.kafka.connect.cli.ConnectStandalone', worker, connector];
  const args = [...JVM, '-cp', join(runtime.jars, '*'), ...main];
  return supervise(await startServer({ command: runtime.java, args, cwd: folder }, log), log);
}

function supervise(child: Child, log: string): Worker {
  let ended = false;
  void child.exited.then(() => (ended = true));
  return {
    cpu: () => cpuOf(child.pid) / 1e6,
    memory: () => (ended ? 0 : memoryOf(child.pid)),
    failure() {
      const lines = readLog(log, 0).trimEnd().split('\n');
      const errors = lines.filter((line) => /\bERROR\b|^Caused by/u.test(line));
      const fatal = errors.some((line) => /unrecoverable|Stopping due to error/u.test(line));
      if (!ended && !fatal) return null;
      const told = errors.length > 0 ? errors : lines;
      return `Kafka Connect ${fatal ? 'failed' : 'ended'}, and logged last:\n${told.slice(-8).join('\n')}`;
    },
    async stop() {
      await child.end(END);
    },
  };
}

function memoryOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+)/u.exec(status)?.[1] ?? 0) / 1024);
}

function workerSettings({ folder, kafka }: WorkerPlan, port: number): Record<string, string> {
  return {
    'bootstrap.servers': kafka.brokers.join(','),
    listeners: `http://${LOOPBACK}:${port}`,
    'offset.storage.file.filename': join(folder, 'offsets'),
    'plugin.discovery': 'service_load',
    'key.converter': STRING,
    'value.converter': STRING,
    'header.converter': STRING,
    // Connect itself sets acks=all. Idempotence keeps the order with several requests under way, like the relay's producer.
    'producer.enable.idempotence': 'true',
    'producer.max.in.flight.requests.per.connection': '5',
    'producer.linger.ms': '5',
    'producer.batch.size': '262144',
    'producer.compression.type': 'none',
  };
}

function connectorSettings({ databaseUrl, slot, kafka }: WorkerPlan): Record<string, string> {
  const { hostname, port, username, password, pathname } = new URL(databaseUrl);
  return {
    name: 'outbox',
    'connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
    'tasks.max': '1',
    'database.hostname': hostname,
    'database.port': port,
    'database.user': username,
    'database.password': decodeURIComponent(password),
    'database.dbname': pathname.slice(1),
    'database.sslmode': 'disable',
    'topic.prefix': 'outbox',
    // Four more headers on each record, for lineage tools.
    'extended.headers.enabled': 'false',
    'plugin.name': 'pgoutput',
    'slot.name': slot,
    'publication.name': slot,
    'publication.autocreate.mode': 'disabled',
    'table.include.list': 'public.outbox',
    // Only what was written since the slot is there: a snapshot would be another way to read.
    'snapshot.mode': 'no_data',
    'max.batch.size': '2048',
    'max.queue.size': '8192',
    'poll.interval.ms': '5',
    transforms: 'outbox',
    'transforms.outbox.type': 'io.debezium.transforms.outbox.EventRouter',
    'transforms.outbox.route.topic.replacement': kafka.topic,
    'transforms.outbox.table.fields.additional.placement': 'type:header:ce_type,sequence:header:sequence',
  };
}
