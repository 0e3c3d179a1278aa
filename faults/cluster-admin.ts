import { randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  AclOperations,
  AclPermissionTypes,
  type Admin,
  ConfigResourceTypes,
  IncrementalAlterConfigOperationTypes,
  ResourcePatternTypes,
  ResourceTypes,
} from '@platformatic/kafka';
import { runTool } from '../local/processes.ts';
import { SMALL_JVM } from './broker-node.ts';
import { until } from './until.ts';

/** How Kafka's own tools are run. */
export interface Tools {
  readonly java: string;
  /** Folder of Kafka's jars. */
  readonly jars: string;
  /** Where files for tools may be written. */
  readonly folder: string;
  readonly brokers: readonly string[];
}

export interface PartitionState {
  readonly partition: number;
  /** Node id, -1 while there is none. */
  readonly leader: number;
  readonly replicas: readonly number[];
  readonly inSync: readonly number[];
}

type Right = keyof typeof AclOperations;

/** What an operator of the cluster does while a run is under way. */
export class ClusterAdmin {
  readonly #admin: Admin;
  readonly #tools: Tools;

  constructor(admin: Admin, tools: Tools) {
    this.#admin = admin;
    this.#tools = tools;
  }

  /** Resolves once so many brokers are registered and alive. */
  async untilBrokers(count: number): Promise<void> {
    await until(`${count} brokers in the cluster`, async () => {
      const { brokers } = await this.#admin.metadata({ forceUpdate: true });
      return brokers.size === count;
    });
  }

  async createTopic(
    topic: string,
    shape: { readonly partitions: number; readonly replicas: number; readonly minInsync: number },
  ): Promise<void> {
    await this.#admin.createTopics({
      topics: [topic],
      partitions: shape.partitions,
      replicas: shape.replicas,
      configs: [
        { name: 'min.insync.replicas', value: String(shape.minInsync) },
        { name: 'cleanup.policy', value: 'delete' },
        { name: 'retention.ms', value: '-1' },
        { name: 'unclean.leader.election.enable', value: 'false' },
      ],
    });
    await until(`topic ${topic}`, async () => {
      const partitions = await this.partitions(topic);
      return partitions.length === shape.partitions && partitions.every(({ leader }) => leader >= 0);
    });
  }

  async partitions(topic: string): Promise<PartitionState[]> {
    const { topics } = await this.#admin.metadata({ topics: [topic], forceUpdate: true });
    return (topics.get(topic)?.partitions ?? []).map(({ leader, replicas, isr }, partition) => {
      return { partition, leader, replicas, inSync: isr };
    });
  }

  /** Resolves once all replicas of all partitions are in sync. */
  async untilInSync(topic: string): Promise<void> {
    await until(`all replicas of ${topic} in sync`, async () => {
      const partitions = await this.partitions(topic);
      return partitions.length > 0 && partitions.every(({ replicas, inSync }) => replicas.length === inSync.length);
    });
  }

  /**
   * Makes another replica the leader of each of these partitions (default: all): the next one in the list of replicas.
   * Resolves once they lead.
   */
  async moveLeaders(topic: string, only?: readonly number[]): Promise<void> {
    const before = await this.partitions(topic);
    const moved = before.filter(({ partition }) => only === undefined || only.includes(partition));
    const partitions = moved.map(({ partition, leader, replicas }) => {
      const at = Math.max(0, replicas.indexOf(leader));
      return { topic, partition, replicas: [...replicas.slice(at + 1), ...replicas.slice(0, at + 1)] };
    });
    await this.#withFile({ version: 1, partitions }, (file) =>
      this.#run('org.apache.kafka.tools.reassign.ReassignPartitionsCommand', [
        ...['--reassignment-json-file', file],
        '--execute',
      ]),
    );
    const elected = { partitions: partitions.map(({ partition }) => ({ topic, partition })) };
    await this.#withFile(elected, (file) =>
      this.#run('org.apache.kafka.tools.LeaderElectionCommand', [
        ...['--election-type', 'preferred'],
        ...['--path-to-json-file', file],
      ]),
    );
    await until(`new leaders of ${topic}`, async () => {
      const after = await this.partitions(topic);
      return partitions.every(({ partition, replicas }) => after[partition]?.leader === replicas[0]);
    });
  }

  /** Sets a topic's settings; null gives a setting back to its default. */
  async configureTopic(topic: string, settings: Readonly<Record<string, string | null>>): Promise<void> {
    await this.#admin.incrementalAlterConfigs({
      validateOnly: false,
      resources: [
        {
          resourceType: ConfigResourceTypes.TOPIC,
          resourceName: topic,
          configs: Object.entries(settings).map(([name, value]) =>
            value === null
              ? { name, configOperation: IncrementalAlterConfigOperationTypes.DELETE }
              : { name, value, configOperation: IncrementalAlterConfigOperationTypes.SET },
          ),
        },
      ],
    });
  }

  /** What the user `relay` may do from now on, besides what was granted before. */
  async grant(topic: string, rights: readonly Right[]): Promise<void> {
    const topicAcls = rights.map((right) => acl(ResourceTypes.TOPIC, topic, right));
    await this.#admin.createAcls({ creations: topicAcls });
  }

  /** The user `relay` may use every transactional id, and idempotent producers. */
  async grantTransactions(): Promise<void> {
    const rights = (['DESCRIBE', 'WRITE'] as const).map((right) => acl(ResourceTypes.TRANSACTIONAL_ID, '*', right));
    await this.#admin.createAcls({
      creations: [...rights, acl(ResourceTypes.CLUSTER, 'kafka-cluster', 'IDEMPOTENT_WRITE')],
    });
  }

  /** Takes rights of the user `relay` back. */
  async revoke(topic: string, rights: readonly Right[]): Promise<void> {
    for (const right of rights) {
      await this.#admin.deleteAcls({ filters: [acl(ResourceTypes.TOPIC, topic, right)] });
    }
  }

  async close(): Promise<void> {
    await this.#admin.close();
  }

  async #withFile(content: unknown, use: (file: string) => Promise<void>): Promise<void> {
    const file = join(this.#tools.folder, `${randomUUID()}.json`);
    writeFileSync(file, JSON.stringify(content));
    try {
      await use(file);
    } finally {
      rmSync(file, { force: true });
    }
  }

  async #run(tool: string, args: readonly string[]): Promise<void> {
    const { java, jars, brokers } = this.#tools;
    const quiet = '-Dorg.slf4j.simpleLogger.defaultLogLevel=error';
    const target = ['--bootstrap-server', brokers.join(',')];
    const all = [...SMALL_JVM, quiet, '-cp', join(jars, '*'), tool, ...target, ...args];
    const { code, output } = await runTool({ command: java, args: all });
    if (code !== 0) throw new Error(`${tool} failed:\n${output}`);
  }
}

function acl(resourceType: ResourceTypeValue, resourceName: string, right: Right) {
  return {
    resourceType,
    resourceName,
    resourcePatternType: ResourcePatternTypes.LITERAL,
    principal: 'User:relay',
    host: '*',
    operation: AclOperations[right],
    permissionType: AclPermissionTypes.ALLOW,
  };
}

type ResourceTypeValue = (typeof ResourceTypes)[keyof typeof ResourceTypes];
