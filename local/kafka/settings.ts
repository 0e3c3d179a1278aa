import { LOOPBACK } from '../ports.ts';

export interface KafkaPorts {
  readonly port: number;
  readonly controllerPort: number;
}

/**
 * One node that is broker and controller. What a single node can't have (replicas) is 1, what costs a small machine
 * time (many partitions of internal topics, a rebalance delay, big buffers) is small; all else is Kafka's default.
 */
export function kafkaSettings(
  { port, controllerPort }: KafkaPorts,
  bind: string,
  logDirs: string,
): Readonly<Record<string, string>> {
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    listeners: `BROKER://${bind}:${port},CONTROLLER://${LOOPBACK}:${controllerPort}`,
    'advertised.listeners': `BROKER://${LOOPBACK}:${port}`,
    'listener.security.protocol.map': 'BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'inter.broker.listener.name': 'BROKER',
    'controller.listener.names': 'CONTROLLER',
    'controller.quorum.voters': `1@${LOOPBACK}:${controllerPort}`,
    'log.dirs': logDirs,
    'auto.create.topics.enable': 'false',
    'default.replication.factor': '1',
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '4',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'share.coordinator.state.topic.num.partitions': '1',
    // A killed broker may register again only when its old session is over: 9 s by default. Here broker and controller
    // are one process, so no network can make a live one look dead.
    'broker.heartbeat.interval.ms': '500',
    'broker.session.timeout.ms': '3000',
    'group.initial.rebalance.delay.ms': '0',
    // The default of 128 MiB would be a quarter of the heap.
    'log.cleaner.dedupe.buffer.size': String(16 * 1024 * 1024),
  };
}

/** A Java properties file. Values are ASCII by construction. */
export function propertiesFile(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}
