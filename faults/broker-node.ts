import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { untilKafkaReady } from '../local/kafka/ready.ts';
import { propertiesFile } from '../local/kafka/settings.ts';
import { LOOPBACK } from '../local/ports.ts';
import { logSize, runTool, startServer, type Child } from '../local/processes.ts';

/** One broker of a cluster: a process that may be killed, and data and ports that outlive it. */
export interface BrokerNode {
  /** node.id, from 1. */
  readonly id: number;
  /** host:port for clients without a password. */
  readonly address: string;
  readonly log: string;
  isRunning(): boolean;
  /** Of its process; 0 while it does not run. */
  pid(): number;
  /** Ends the process and waits for its end. A clean shutdown (SIGTERM) that takes more than 30 s becomes a SIGKILL. */
  kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  /** SIGSTOP: it answers nothing from now on, but its connections stay. */
  freeze(): void;
  /** SIGCONT. */
  thaw(): void;
  /** On the same data and ports. Resolves once it serves clients. @throws when it runs already, or does not come up. */
  start(): Promise<void>;
}

export interface NodePlan {
  readonly id: number;
  readonly java: string;
  /** Folder of Kafka's jars. */
  readonly jars: string;
  /** Folder of this node; must not be another's. */
  readonly folder: string;
  readonly clusterId: string;
  readonly port: number;
  readonly settings: Readonly<Record<string, string>>;
  /** Heap, in MiB. */
  readonly heap: number;
}

/** Small and soon ready: no broker here runs for long. */
export const SMALL_JVM = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Djava.awt.headless=true'];
const LOGGING = [
  '-Dorg.slf4j.simpleLogger.showDateTime=true',
  '-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS',
];
const CLEAN_END = [
  { signal: 'SIGTERM', grace: 30_000 },
  { signal: 'SIGKILL', grace: 5_000 },
] as const;
const HARD_END = [{ signal: 'SIGKILL', grace: 5_000 }] as const;

/** Formats the node's storage; nothing runs yet. */
export async function createNode(plan: NodePlan): Promise<BrokerNode> {
  const { id, java, jars, folder, clusterId, port, heap } = plan;
  mkdirSync(folder, { recursive: true });
  const properties = join(folder, 'server.properties');
  // Relative to the working folder: `log.dirs` is a list, and a path may have a comma in it.
  writeFileSync(properties, propertiesFile({ ...plan.settings, 'log.dirs': 'data' }));
  const base = [...SMALL_JVM, '-cp', join(jars, '*')];
  const format = ['kafka.tools.StorageTool', 'format', '--cluster-id', clusterId, '--config', properties];
  const { code, output } = await runTool({ command: java, args: [...base, ...format], cwd: folder });
  if (code !== 0) throw new Error(`the storage of broker ${id} could not be formatted:\n${output}`);

  const log = join(folder, 'kafka.log');
  const jvm = [`-Xmx${heap}m`, '-XX:+ExitOnOutOfMemoryError', ...LOGGING];
  let running: Child | null = null;
  const require = (): Child => {
    if (running === null) throw new Error(`broker ${id} does not run`);
    return running;
  };
  return {
    id,
    address: `${LOOPBACK}:${port}`,
    log,
    isRunning: () => running !== null,
    pid: () => running?.pid ?? 0,
    async kill(signal) {
      await require().end(signal === 'SIGKILL' ? HARD_END : CLEAN_END);
      running = null;
    },
    freeze: () => void process.kill(require().pid, 'SIGSTOP'),
    thaw: () => void process.kill(require().pid, 'SIGCONT'),
    async start() {
      if (running !== null) throw new Error(`broker ${id} runs already`);
      const offset = logSize(log);
      const args = [...jvm, ...base, 'kafka.Kafka', properties];
      const child = await startServer({ command: java, args, cwd: folder }, log);
      running = child;
      await untilKafkaReady({ child, port, log, offset, progress: () => {} }, new AbortController().signal);
    },
  };
}
