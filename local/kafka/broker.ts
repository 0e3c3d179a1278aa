import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DataFolder, Remembered } from '../data-folder.ts';
import { exists } from '../data-folder.ts';
import { errorCode, LocalInfrastructureError } from '../local-infrastructure-error.ts';
import { LOOPBACK } from '../ports.ts';
import type { Child, EndStep, Environment } from '../processes.ts';
import { lastLines, logSize, runTool, startServer } from '../processes.ts';
import type { KafkaJars } from './jars.ts';
import type { KafkaPorts } from './settings.ts';
import { kafkaSettings, propertiesFile } from './settings.ts';
import { untilKafkaReady } from './ready.ts';

/** A clean shutdown, else what no process survives: the log is then recovered at the next start. */
export const KAFKA_END: readonly EndStep[] = [
  { signal: 'SIGTERM', grace: 4_500 },
  { signal: 'SIGKILL', grace: 1_000 },
];

// Ready sooner and smaller; a broker for one developer never runs long enough to earn the better compiler.
const SMALL_JVM = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Djava.awt.headless=true'];
const BROKER_JVM = [...SMALL_JVM, '-Xmx512m', '-XX:+ExitOnOutOfMemoryError'];
const LOGGING = [
  '-Dorg.slf4j.simpleLogger.showDateTime=true',
  '-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS',
];

export interface KafkaStart {
  readonly java: string;
  readonly jars: KafkaJars;
  readonly folder: DataFolder;
  readonly ports: KafkaPorts;
  readonly progress: (line: string) => void;
}

export function kafkaLog(folder: DataFolder): string {
  return join(folder.logs, 'kafka.log');
}

/** The arguments by which a broker on this data is known among the processes. */
export function kafkaMark(folder: DataFolder): readonly string[] {
  return ['kafka.Kafka', join(folder.kafka, 'server.properties')];
}

/** Throws the sentence if this version must not run on the data that is there. */
export function checkKafkaData(jars: KafkaJars, folder: DataFolder, { clusterId, version }: Remembered['kafka']): void {
  if (!exists(join(folder.kafka, 'data'))) return;
  const stored = storedClusterId(folder);
  if (stored !== clusterId) {
    throw new LocalInfrastructureError(
      `${folder.kafka} belongs to another Kafka cluster (${stored ?? 'unreadable'}, not ${clusterId}): put back what was there, or delete ${folder.root} to begin anew.`,
    );
  }
  if (version !== undefined && isNewer(version, jars.version)) {
    throw new LocalInfrastructureError(
      `${folder.kafka} was last written by Kafka ${version} and this is ${jars.version}, which may not read it: use the newer one, or delete ${folder.root} to begin anew.`,
    );
  }
}

function storedClusterId(folder: DataFolder): string | undefined {
  try {
    const properties = readFileSync(join(folder.kafka, 'data', 'meta.properties'), 'utf8');
    return /^cluster\.id=(.*)$/m.exec(properties)?.[1];
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function isNewer(version: string, than: string): boolean {
  return version.localeCompare(than, 'en', { numeric: true }) > 0;
}

/** Formats the storage beside its place and moves it there when it is whole. */
export async function formatKafka(start: KafkaStart, clusterId: string, signal: AbortSignal): Promise<void> {
  const { java, jars, folder, ports } = start;
  const data = join(folder.kafka, 'data');
  mkdirSync(folder.kafka, { recursive: true });
  rmSync(`${data}.new`, { recursive: true, force: true });
  const properties = join(folder.kafka, 'format.properties');
  writeFileSync(properties, propertiesFile(kafkaSettings(ports, LOOPBACK, 'data.new')));
  try {
    const args = ['kafka.tools.StorageTool', 'format', '--cluster-id', clusterId, '--config', properties];
    const { code, output } = await runTool(
      { command: java, args: [...SMALL_JVM, ...classPath(jars), ...args], cwd: folder.kafka, env: environment() },
      signal,
    );
    if (code !== 0)
      throw new LocalInfrastructureError(`Kafka's storage could not be formatted:\n${lastLines(output, 5)}`);
    renameSync(`${data}.new`, data);
  } finally {
    rmSync(properties, { force: true });
    rmSync(`${data}.new`, { recursive: true, force: true });
  }
}

/** Resolves once the broker serves its clients. On rejection nothing of it runs any more. */
export async function startBroker(start: KafkaStart, signal: AbortSignal): Promise<Child> {
  const { java, jars, folder, ports, progress } = start;
  // Relative to the working folder: `log.dirs` is a list, and a path may have a comma in it.
  const properties = join(folder.kafka, 'server.properties');
  writeFileSync(properties, propertiesFile(kafkaSettings(ports, LOOPBACK, 'data')));
  const log = kafkaLog(folder);
  const offset = logSize(log);
  const args = [...BROKER_JVM, ...LOGGING, ...classPath(jars), ...kafkaMark(folder)];
  const child = await startServer({ command: java, args, cwd: folder.kafka, env: environment() }, log);
  try {
    await untilKafkaReady({ child, port: ports.port, log, offset, progress }, signal);
    return child;
  } catch (error) {
    await child.end(KAFKA_END);
    throw error;
  }
}

function classPath(jars: KafkaJars): string[] {
  return ['-cp', join(jars.folder, '*')];
}

function environment(): Environment {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(KAFKA_|CLASSPATH$)/.test(name)));
}
