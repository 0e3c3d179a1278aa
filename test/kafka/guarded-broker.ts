import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureJars, kafkaJars } from '../../local/kafka/jars.ts';
import { untilKafkaReady } from '../../local/kafka/ready.ts';
import { findKafkaRuntime } from '../../local/kafka/runtime.ts';
import { kafkaSettings, propertiesFile } from '../../local/kafka/settings.ts';
import { choosePort, LOOPBACK } from '../../local/ports.ts';
import { runTool, startServer } from '../../local/processes.ts';
import type { KafkaConfig } from '../../src/config.ts';

/** A broker that asks who one is, and what one may. */
export interface GuardedBroker {
  /** Who comes here may do everything. */
  readonly admin: readonly string[];
  /** Who comes here is the user `relay` and may only what ACLs allow. */
  readonly relay: Pick<KafkaConfig, 'brokers' | 'sasl'>;
  remove(): Promise<void>;
}

export interface GuardedOptions {
  /** Gives the port to be told to the user `relay` in place of this one: that of a link to it. */
  readonly through?: (port: number) => Promise<number>;
}

const PASSWORD = 'not a secret';
const JVM = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xmx512m'];

export async function startGuardedBroker({ through }: GuardedOptions = {}): Promise<GuardedBroker> {
  const folder = mkdtempSync(join(tmpdir(), 'genesis-guarded-'));
  const forever = new AbortController().signal;
  const taken = new Set<number>();
  const [port, controllerPort, relayPort] = await choosePorts(taken);
  const toldPort = through === undefined ? relayPort : await through(relayPort);
  const jars = kafkaJars();
  const runtime = await findKafkaRuntime(jars, forever);
  if (runtime.kind !== 'java') throw new Error('this test needs Java 17 or newer');
  await ensureJars(jars, () => {}, forever);
  const properties = join(folder, 'server.properties');
  mkdirSync(join(folder, 'data'));
  writeFileSync(properties, propertiesFile(settings({ port, controllerPort }, relayPort, toldPort)));
  const java = { command: runtime.java, cwd: folder };
  const base = [...JVM, '-cp', join(jars.folder, '*')];
  // Not with a hyphen first: the tool would take it for an option.
  const clusterId = `A${randomBytes(16).toString('base64url').slice(1)}`;
  const format = ['kafka.tools.StorageTool', 'format', '--cluster-id', clusterId, '--config', properties];
  const { code, output } = await runTool({ ...java, args: [...base, ...format] }, forever);
  if (code !== 0) throw new Error(output);
  const log = join(folder, 'kafka.log');
  const child = await startServer({ ...java, args: [...base, 'kafka.Kafka', properties] }, log);
  await untilKafkaReady({ child, port, log, offset: 0, progress: () => {} }, forever);
  return {
    admin: [`${LOOPBACK}:${port}`],
    relay: {
      brokers: [`${LOOPBACK}:${toldPort}`],
      sasl: { mechanism: 'PLAIN', username: 'relay', password: PASSWORD },
    },
    async remove() {
      await child.end([{ signal: 'SIGKILL', grace: 5_000 }]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function choosePorts(taken: Set<number>): Promise<[number, number, number]> {
  const wish = { variable: 'KAFKA_PORT', use: 'Kafka', taken };
  return [await choosePort(wish), await choosePort(wish), await choosePort(wish)];
}

function settings(
  ports: { port: number; controllerPort: number },
  relayPort: number,
  toldPort: number,
): Record<string, string> {
  const plain = kafkaSettings(ports, LOOPBACK, 'data');
  return {
    ...plain,
    listeners: `${plain['listeners']},RELAY://${LOOPBACK}:${relayPort}`,
    'advertised.listeners': `${plain['advertised.listeners']},RELAY://${LOOPBACK}:${toldPort}`,
    'listener.security.protocol.map': `${plain['listener.security.protocol.map']},RELAY:SASL_PLAINTEXT`,
    'sasl.enabled.mechanisms': 'PLAIN',
    'listener.name.relay.plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required user_relay="${PASSWORD}";`,
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': 'User:ANONYMOUS',
  };
}
