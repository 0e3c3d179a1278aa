import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LocalInfrastructureError } from '../local-infrastructure-error.ts';
import { isAlive } from '../processes.ts';
import { ensureJars, kafkaJars } from './jars.ts';
import { findJava } from './runtime.ts';

/** Kafka's own command-line tools, by the names that its distribution gives them. */
const TOOLS: ReadonlyMap<string, string> = new Map([
  ['console-consumer', 'org.apache.kafka.tools.consumer.ConsoleConsumer'],
  ['console-producer', 'org.apache.kafka.tools.ConsoleProducer'],
  ['configs', 'kafka.admin.ConfigCommand'],
  ['consumer-groups', 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand'],
  ['get-offsets', 'org.apache.kafka.tools.GetOffsetShell'],
  ['topics', 'org.apache.kafka.tools.TopicCommand'],
]);

/** The tools say each step of theirs in the log; only what is wrong matters here. */
const QUIET = ['-Dorg.slf4j.simpleLogger.defaultLogLevel=error', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'];

/** As `genesis` ends when it was called in a wrong way. */
const WRONG_USAGE = 2;

/** `npm run kafka -- <tool> …`: a tool of Kafka's own against the running instance, or against --bootstrap-server. */
async function main([name = '', ...args]: readonly string[]): Promise<number> {
  const tool = TOOLS.get(name);
  if (tool === undefined) {
    console.error(
      `usage: npm run kafka -- <tool> [its options], where <tool> is one of ${[...TOOLS.keys()].join(', ')}`,
    );
    return WRONG_USAGE;
  }
  // First: Kafka's files need not be fetched for an instance that is not there.
  const target = args.includes('--bootstrap-server') ? [] : ['--bootstrap-server', runningBrokers()];
  const signal = new AbortController().signal;
  const jars = kafkaJars();
  const { command } = await findJava(signal);
  await ensureJars(jars, (line) => console.error(line), signal);
  const child = spawn(command, [...QUIET, '-cp', join(jars.folder, '*'), tool, ...target, ...args], {
    stdio: 'inherit',
  });
  // The terminal's Ctrl-C reaches the tool, too: its end is ours.
  process.on('SIGINT', () => undefined);
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 0;
}

function runningBrokers(): string {
  const dataDir = process.env['LOCAL_DATA_DIR'] ?? '.genesis';
  const endpoints = readEndpoints(join(dataDir, 'endpoints.json'));
  // One that was killed leaves its file behind.
  if (endpoints !== null && isAlive(endpoints.pid)) return endpoints.kafka.join(',');
  throw new LocalInfrastructureError(
    `no instance runs with the data folder ${dataDir}: start one with \`npm start\`, or name a broker with --bootstrap-server`,
  );
}

interface Endpoints {
  readonly pid: number;
  readonly kafka: readonly string[];
}

function readEndpoints(file: string): Endpoints | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Endpoints;
  } catch {
    return null;
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Error)) throw error;
  console.error(error instanceof LocalInfrastructureError ? error.message : error);
  process.exitCode = 1;
}
