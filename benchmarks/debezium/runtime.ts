import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder, kafkaJars } from '../../local/kafka/jars.ts';
import { findJava } from '../../local/kafka/runtime.ts';
import { LocalInfrastructureError } from '../../local/local-infrastructure-error.ts';
import { lastLines, runTool, tryTool } from '../../local/processes.ts';

export const DEBEZIUM_VERSION = '3.7.0.Final';

const OLDEST_JAVA = 17;
const COPY = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';

/** On what Debezium runs. */
export interface DebeziumRuntime {
  readonly java: string;
  /** Folder of the jars of Kafka Connect, the connector and all that they need. */
  readonly jars: string;
}

/**
 * Finds Java, and fetches the jars unless an earlier run has.
 * @throws LocalInfrastructureError with what is missing and what to do about it.
 */
export async function debeziumRuntime(progress: (line: string) => void): Promise<DebeziumRuntime> {
  const kafka = kafkaJars().version;
  const jars = join(cacheFolder(), `debezium-${DEBEZIUM_VERSION}-kafka-${kafka}`);
  const cached = existsSync(jars);
  const [java, maven] = await Promise.all([
    findJava(new AbortController().signal),
    cached ? undefined : tryTool({ command: 'mvn', args: ['-v'] }),
  ]);
  const missing = [
    ...(java.version >= OLDEST_JAVA ? [] : [`Java ${OLDEST_JAVA} or newer (in PATH or by JAVA_HOME)`]),
    ...(cached || maven?.code === 0 ? [] : ['Maven (mvn in PATH) to fetch Debezium once']),
  ];
  if (missing.length > 0) {
    throw new LocalInfrastructureError(
      `--peer debezium lacks ${missing.join(' and ')}: install it or omit the option.`,
    );
  }
  if (!cached) {
    progress(`Fetching Debezium ${DEBEZIUM_VERSION} and Kafka Connect ${kafka} (39 MB, once) …`);
    await fetchJars(jars, kafka);
  }
  return { java: java.command, jars };
}

/** Beside their place first: what is there under its name is whole. */
async function fetchJars(jars: string, kafka: string): Promise<void> {
  await mkdir(cacheFolder(), { recursive: true });
  const folder = await mkdtemp(join(cacheFolder(), `.fetch-${process.pid}-`));
  try {
    const file = join(folder, 'pom.xml');
    await writeFile(file, pom(kafka));
    const args = ['-B', '-ntp', '-C', '-f', file, COPY, '-DincludeScope=runtime', `-DoutputDirectory=${folder}`];
    const { code, output } = await runTool({ command: 'mvn', args });
    if (code !== 0) {
      const reason = output.split('\n').find((line) => line.includes('ERROR')) ?? lastLines(output, 1);
      throw new LocalInfrastructureError(
        `Maven could not fetch Debezium's jars; mend its network or settings and try again:\n${reason}`,
      );
    }
    await rename(folder, jars);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Connect in the version of the broker; the log's binding is the one that the broker has, too. */
function pom(kafka: string): string {
  const dependencies = [
    ['org.apache.kafka', 'connect-runtime', kafka],
    ['io.debezium', 'debezium-connector-postgres', DEBEZIUM_VERSION],
    ['org.slf4j', 'slf4j-simple', '1.7.36'],
  ].map(
    ([group, artifact, version]) =>
      `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`,
  );
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>genesis.benchmarks</groupId><artifactId>debezium</artifactId><version>1</version><packaging>pom</packaging>
  <properties><project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>
  <dependencies>
    ${dependencies.join('\n    ')}
  </dependencies>
</project>
`;
}
