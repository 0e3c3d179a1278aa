import { createHash } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { exists } from '../data-folder.ts';
import { errorCode, explained, LocalInfrastructureError } from '../local-infrastructure-error.ts';
import { isAlive, lastLines, runTool } from '../processes.ts';

const POM = join(import.meta.dirname, 'pom.xml');
const SUMS = join(import.meta.dirname, 'jars.sha256');
const COPY = 'org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies';
const SIZE = '45 MB';

/** The jars of one version: `sums` maps each file's name to its SHA-256. */
export interface KafkaJars {
  readonly version: string;
  readonly sums: ReadonlyMap<string, string>;
  /** Shared by all projects of this user; another list of jars is another folder. */
  readonly folder: string;
}

export function kafkaJars(): KafkaJars {
  const text = readFileSync(SUMS, 'utf8');
  const lines = text.trim().split('\n');
  const sums = new Map(lines.map((line): [string, string] => [line.slice(66), line.slice(0, 64)]));
  const version = /kafka_2\.13-(\S+)\.jar/.exec(text)?.[1];
  if (version === undefined) throw new Error(`${SUMS} does not list Kafka's own jar`);
  const list = createHash('sha256').update(text).digest('hex').slice(0, 12);
  return { version, sums, folder: join(cacheFolder(), `kafka-${version}-${list}`) };
}

/** Where downloads of this project are kept, for all its copies of this user. */
export function cacheFolder(): string {
  const configured = process.env['XDG_CACHE_HOME'] ?? '';
  // The XDG specification: a relative one is to be ignored.
  return join(isAbsolute(configured) ? configured : join(homedir(), '.cache'), 'genesis');
}

/** Whether the jars are here, so that Maven isn't needed. */
export function areCached(jars: KafkaJars): boolean {
  return exists(jars.folder);
}

/**
 * Fetches the jars if they aren't cached, and compares each with its committed SHA-256, cached or not: a damaged jar
 * would otherwise show as some ClassNotFoundException, much later.
 */
export async function ensureJars(
  jars: KafkaJars,
  progress: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  if (areCached(jars)) {
    const wrong = await firstMismatch(jars, jars.folder, signal);
    if (wrong !== undefined) {
      throw new LocalInfrastructureError(
        `${wrong} in ${jars.folder} is not what local/kafka/jars.sha256 says: delete that folder and start again, and it is fetched anew.`,
      );
    }
    return;
  }
  progress(`Fetching Kafka ${jars.version} (${SIZE}, once) …`);
  try {
    await fetchJars(jars, signal);
  } catch (error) {
    throw explained(error, cacheFolder());
  }
}

async function fetchJars(jars: KafkaJars, signal: AbortSignal): Promise<void> {
  await mkdir(cacheFolder(), { recursive: true });
  await removeAbandoned();
  const folder = await mkdtemp(join(cacheFolder(), `.fetch-${process.pid}-`));
  try {
    await runMaven(folder, signal);
    const wrong = await firstMismatch(jars, folder, signal);
    if (wrong !== undefined) {
      throw new LocalInfrastructureError(
        `Maven delivered a ${wrong} that is not what local/kafka/jars.sha256 says: delete it from Maven's local repository (~/.m2/repository) and start again; if it stays so, the repository that this machine uses serves another file.`,
      );
    }
    await rename(folder, jars.folder).catch((error: unknown) => {
      // Another process was first with the same jars.
      if (!areCached(jars)) throw error;
    });
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** What fetches that were killed have left. */
async function removeAbandoned(): Promise<void> {
  for (const name of await readdir(cacheFolder())) {
    const pid = /^\.fetch-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid)))
      await rm(join(cacheFolder(), name), { recursive: true, force: true });
  }
}

async function runMaven(folder: string, signal: AbortSignal): Promise<void> {
  const args = ['-B', '-ntp', '-f', POM, COPY, '-DincludeScope=runtime', `-DoutputDirectory=${folder}`];
  const { code, output } = await runTool({ command: 'mvn', args }, signal);
  if (code === 0) return;
  const reason = output.split('\n').find((line) => line.includes('ERROR')) ?? lastLines(output, 1);
  throw new LocalInfrastructureError(
    `Maven could not fetch Kafka's jars; mend its network or settings and start again, or set DATABASE_URL and KAFKA_BROKERS to use servers of your own:\n${reason}`,
  );
}

/** The name of a jar that is missing, other than listed, or not listed at all. */
async function firstMismatch(jars: KafkaJars, folder: string, signal: AbortSignal): Promise<string | undefined> {
  const present = new Set((await readdir(folder)).filter((name) => name.endsWith('.jar')));
  const unlisted = [...present].find((name) => !jars.sums.has(name));
  if (unlisted !== undefined) return unlisted;
  for (const [name, sum] of jars.sums) {
    signal.throwIfAborted();
    if (!present.has(name) || (await sha256(join(folder, name))) !== sum) return name;
  }
  return undefined;
}

async function sha256(path: string): Promise<string | undefined> {
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  } catch (error) {
    if (errorCode(error) === 'EISDIR') return undefined;
    throw error;
  }
  return hash.digest('hex');
}
