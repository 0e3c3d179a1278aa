import { join } from 'node:path';
import { LocalInfrastructureError } from '../local-infrastructure-error.ts';
import { tryTool } from '../processes.ts';
import type { KafkaJars } from './jars.ts';
import { areCached } from './jars.ts';

/** On what the broker runs. */
export type KafkaRuntime =
  | { readonly kind: 'java'; readonly java: string }
  | { readonly kind: 'container'; readonly image: string };

const OLDEST_JAVA = 17;

/** Java and the jars (or Maven to fetch them) if the machine has them; else Docker; else a sentence what to install. */
export async function findKafkaRuntime(jars: KafkaJars, signal: AbortSignal): Promise<KafkaRuntime> {
  const [java, maven] = await Promise.all([findJava(signal), hasMaven(jars, signal)]);
  if (java.version >= OLDEST_JAVA && maven) return { kind: 'java', java: java.command };
  const docker = await tryTool({ command: 'docker', args: ['version', '--format', '{{.Server.Version}}'] }, signal);
  if (docker?.code === 0) {
    return { kind: 'container', image: process.env['LOCAL_KAFKA_IMAGE'] ?? `apache/kafka:${jars.version}` };
  }
  throw new LocalInfrastructureError(
    `Kafka needs Java ${OLDEST_JAVA} or newer and Maven, or a running Docker; ${missing(java, maven)}: install what is missing, or set DATABASE_URL and KAFKA_BROKERS to use servers of your own.`,
  );
}

interface Java {
  readonly command: string;
  /** 0: there is none. */
  readonly version: number;
}

/** The Java to use, and its version. */
export async function findJava(signal: AbortSignal): Promise<Java> {
  const home = process.env['JAVA_HOME'] ?? '';
  const command = home === '' ? 'java' : join(home, 'bin', 'java');
  const result = await tryTool({ command, args: ['-version'] }, signal);
  // "1.8.0_412" before Java 9, "17.0.15" or "21" since.
  const match = result?.code === 0 ? /version "(?:1\.)?(\d+)/.exec(result.output) : null;
  return { command, version: Number(match?.[1] ?? 0) };
}

async function hasMaven(jars: KafkaJars, signal: AbortSignal): Promise<boolean> {
  return areCached(jars) || (await tryTool({ command: 'mvn', args: ['-v'] }, signal))?.code === 0;
}

function missing(java: Java, maven: boolean): string {
  const where = java.command === 'java' ? 'in PATH' : `at ${java.command} (JAVA_HOME)`;
  const faults: string[] = [];
  if (java.version === 0) faults.push(`there is no Java ${where}`);
  else if (java.version < OLDEST_JAVA) faults.push(`the Java ${where} is version ${java.version}`);
  if (!maven) faults.push('there is no working mvn in PATH');
  return [...faults, 'and no Docker daemon answers'].join(', ');
}
