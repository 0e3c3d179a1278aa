import { writeFileSync } from 'node:fs';
import { pino } from 'pino';
import { KafkaPublisher } from '../../src/kafka/publisher.ts';
import { KafkaTopicReader } from '../../src/kafka/topic-reader.ts';
import { KafkaTransactionalPublisher } from '../../src/kafka/transactional-publisher.ts';
import { createRelayGroup } from '../../src/postgres/relay-group.ts';
import { createLocalWakeup } from '../../src/relay/local-wakeup.ts';
import type { DeliveryMode } from '../../src/relay/ports.ts';
import { Relay } from '../../src/relay/relay.ts';
import type { SoakClaim } from './soak.ts';

/** A relay that times its claims, in a process of its own; at SIGTERM it writes them to CLAIMS_FILE. */

const { DATABASE_URL: databaseUrl = '', KAFKA_BROKERS: brokers = '', KAFKA_TOPIC: topic = '' } = process.env;
const { CLAIMS_FILE: file = '', RELAY_DELIVERY: delivery = 'at-least-once' } = process.env;
const kafka = { brokers: brokers.split(','), topic };
const claims: SoakClaim[] = [];
let rows = 0;

const relay = new Relay(
  {
    group: createRelayGroup(databaseUrl, {}),
    publisher: new KafkaPublisher(kafka),
    probe: new KafkaPublisher(kafka),
    transactions: new KafkaTransactionalPublisher(kafka),
    reader: new KafkaTopicReader(kafka),
    wakeup: createLocalWakeup(),
    logger: pino({ level: 'warn' }),
  },
  {
    delivery: delivery as DeliveryMode,
    pollInterval: 50,
    batchSize: 100,
    batchMax: 2_000,
    onFailed: 'hold',
    onClaim: (claim) => {
      rows += claim.rows;
      if (claim.rows > 0) claims.push({ upTo: rows, rows: claim.rows, milliseconds: claim.milliseconds });
    },
  },
);
// Whoever started it has ended, however.
process.stdin.resume().once('close', () => process.exit(1));
await relay.start();
process.once('SIGTERM', () => {
  void relay.stop().then(() => {
    writeFileSync(file, JSON.stringify(claims));
    process.exit();
  });
});
