import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Admin } from '@platformatic/kafka';
import { ensureJars, kafkaJars } from '../local/kafka/jars.ts';
import { findKafkaRuntime } from '../local/kafka/runtime.ts';
import { kafkaSettings } from '../local/kafka/settings.ts';
import { choosePort, LOOPBACK } from '../local/ports.ts';
import type { KafkaConfig } from '../src/config.ts';
import { createNode, type BrokerNode } from './broker-node.ts';
import { ClusterAdmin } from './cluster-admin.ts';

export interface ClusterOptions {
  /** Three: every topic has three replicas and min.insync.replicas 2; each node is broker and controller. */
  readonly brokers: 1 | 3;
  /** Where data and logs go. The caller removes it. */
  readonly folder: string;
  /** A listener with SASL/PLAIN besides, whose user `relay` may only what ACLs allow. */
  readonly guarded?: boolean;
  /** Broker settings that differ, by their names in server.properties. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Heap of each broker in MiB. Default 384 for one broker, 256 for three. */
  readonly heap?: number;
}

/** A Kafka cluster whose brokers are children of this process, to be killed, frozen and started again. */
export interface KafkaCluster {
  /** Bootstrap addresses; whoever comes here may do everything. */
  readonly brokers: readonly string[];
  readonly nodes: readonly BrokerNode[];
  /** How the user `relay` comes in; null unless guarded. */
  readonly guarded: Pick<KafkaConfig, 'brokers' | 'sasl'> | null;
  /** Replicas and min.insync.replicas that suit this cluster. */
  readonly replication: { readonly replicas: number; readonly minInsync: number };
  readonly admin: ClusterAdmin;
  /** @throws when there is no node with this id. */
  node(id: number): BrokerNode;
  /** SIGKILL to all that run. */
  stop(): Promise<void>;
}

/** Not a secret: the listener is on the loopback address and lives as long as a run. */
const PASSWORD = 'not a secret';

/** Resolves once all brokers serve clients and know each other. */
export async function startKafkaCluster(options: ClusterOptions): Promise<KafkaCluster> {
  const signal = new AbortController().signal;
  const jars = kafkaJars();
  const runtime = await findKafkaRuntime(jars, signal);
  if (runtime.kind !== 'java') throw new Error('brokers are killed as processes: this needs Java 17 or newer');
  await ensureJars(jars, () => {}, signal);
  const ports = await choosePorts(options.brokers);
  const clusterId = `A${randomBytes(15).toString('base64url')}A`.slice(0, 22);
  const nodes = await Promise.all(
    ports.map((own, index) =>
      createNode({
        id: index + 1,
        java: runtime.java,
        jars: jars.folder,
        folder: join(options.folder, `broker-${index + 1}`),
        clusterId,
        port: own.port,
        settings: { ...nodeSettings(index, ports, options.guarded === true), ...options.settings },
        heap: options.heap ?? (options.brokers === 1 ? 384 : 256),
      }),
    ),
  );
  const brokers = nodes.map(({ address }) => address);
  const admin = new ClusterAdmin(new Admin({ clientId: 'faults-admin', bootstrapBrokers: [...brokers] }), {
    java: runtime.java,
    jars: jars.folder,
    folder: options.folder,
    brokers,
  });
  const cluster = assemble({ nodes, brokers, admin, ports, guarded: options.guarded === true });
  try {
    await Promise.all(nodes.map((node) => node.start()));
    await admin.untilBrokers(nodes.length);
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

interface Parts {
  readonly nodes: readonly BrokerNode[];
  readonly brokers: readonly string[];
  readonly admin: ClusterAdmin;
  readonly ports: readonly NodePorts[];
  readonly guarded: boolean;
}

function assemble({ nodes, brokers, admin, ports, guarded }: Parts): KafkaCluster {
  return {
    brokers,
    nodes,
    admin,
    guarded: guarded
      ? {
          brokers: ports.map(({ guardedPort }) => `${LOOPBACK}:${guardedPort}`),
          sasl: { mechanism: 'PLAIN', username: 'relay', password: PASSWORD },
        }
      : null,
    replication: nodes.length === 1 ? { replicas: 1, minInsync: 1 } : { replicas: 3, minInsync: 2 },
    node(id) {
      const found = nodes.find((node) => node.id === id);
      if (found === undefined) throw new Error(`there is no broker ${id}`);
      return found;
    },
    async stop() {
      await admin.close();
      await Promise.all(nodes.filter((node) => node.isRunning()).map((node) => node.kill('SIGKILL')));
    },
  };
}

interface NodePorts {
  readonly port: number;
  readonly controllerPort: number;
  readonly guardedPort: number;
}

async function choosePorts(brokers: number): Promise<NodePorts[]> {
  const wish = { variable: 'KAFKA_PORT', use: 'Kafka', taken: new Set<number>() };
  const ports: NodePorts[] = [];
  for (let index = 0; index < brokers; index += 1) {
    ports.push({
      port: await choosePort(wish),
      controllerPort: await choosePort(wish),
      guardedPort: await choosePort(wish),
    });
  }
  return ports;
}

function nodeSettings(index: number, ports: readonly NodePorts[], guarded: boolean): Record<string, string> {
  const own = ports[index];
  if (own === undefined) throw new Error(`no ports for broker ${index + 1}`);
  const voters = ports.map(({ controllerPort }, at) => `${at + 1}@${LOOPBACK}:${controllerPort}`);
  const plain = {
    ...kafkaSettings(own, LOOPBACK, 'data'),
    'node.id': String(index + 1),
    'controller.quorum.voters': voters.join(','),
    ...(ports.length === 1 ? {} : REPLICATED),
  };
  return guarded ? { ...plain, ...guard(plain, own.guardedPort) } : plain;
}

const REPLICATED = {
  'default.replication.factor': '3',
  'min.insync.replicas': '2',
  'offsets.topic.replication.factor': '3',
  'transaction.state.log.replication.factor': '3',
  'transaction.state.log.min.isr': '2',
  // A leader that was moved must stay where it was moved to.
  'auto.leader.rebalance.enable': 'false',
};

function guard(plain: Readonly<Record<string, string>>, port: number): Record<string, string> {
  return {
    listeners: `${plain['listeners']},RELAY://${LOOPBACK}:${port}`,
    'advertised.listeners': `${plain['advertised.listeners']},RELAY://${LOOPBACK}:${port}`,
    'listener.security.protocol.map': `${plain['listener.security.protocol.map']},RELAY:SASL_PLAINTEXT`,
    'sasl.enabled.mechanisms': 'PLAIN',
    'listener.name.relay.plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required user_relay="${PASSWORD}";`,
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': 'User:ANONYMOUS',
  };
}
