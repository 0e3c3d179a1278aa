import { Producer, stringSerializers } from '@platformatic/kafka';
import { connectionOptions } from '../../src/kafka/connection.ts';
import { KafkaPublisher } from '../../src/kafka/publisher.ts';
import { KafkaTransactionalPublisher } from '../../src/kafka/transactional-publisher.ts';
import type { DeliveryMode, OutgoingRecord, Publisher } from '../../src/relay/ports.ts';
import type { Place } from './stage.ts';

/** As many as the relay claims at most. */
const BATCH = 2_000;

const ROWS = `SELECT id, topic, key, shard, payload, headers FROM event_outbox WHERE id > $1 ORDER BY id LIMIT $2`;

/** The same records by the relay's own publisher, and nothing besides: events per second of the time spent in sends. */
export async function sendOnly(place: Place, mode: DeliveryMode, events: number): Promise<number> {
  const publisher = await openPublisher(place, mode);
  const rate = await timeSends(place, events, async (rows) => {
    const outcomes = await publisher.send(rows);
    const lost = outcomes.find(({ kind }) => kind !== 'acknowledged');
    if (lost !== undefined) throw new Error(`a send failed: ${JSON.stringify(lost)}`);
  });
  await publisher.close();
  return rate;
}

/** Likewise by the Kafka client as it comes, idempotent: it encodes the records itself. */
export async function sendPlainly(place: Place, events: number): Promise<number> {
  const producer = new Producer<string, string, string, string>({
    ...connectionOptions(place.kafka, 'bench'),
    serializers: stringSerializers,
    idempotent: true,
    acks: -1,
    metadataMaxAge: 300_000,
  });
  const rate = await timeSends(place, events, async (rows) => {
    await producer.send({
      messages: rows.map(({ topic, shard, key, payload, headers }) => {
        return { topic, partition: shard, key, value: payload ?? '', headers };
      }),
    });
  });
  await producer.close();
  return rate;
}

async function timeSends(
  { database }: Place,
  events: number,
  send: (rows: readonly OutgoingRecord[]) => Promise<void>,
): Promise<number> {
  let milliseconds = 0;
  let last = 0;
  for (let sent = 0; sent < events;) {
    // Read between the sends, off the clock: all of them at once would not fit into memory.
    const { rows } = await database.query<OutgoingRecord & { id: string }>(ROWS, [last, BATCH]);
    if (rows.length === 0) throw new Error('there are fewer rows than events');
    const began = performance.now();
    await send(rows);
    milliseconds += performance.now() - began;
    last = Number(rows.at(-1)?.id ?? 0);
    sent += rows.length;
  }
  return events / (milliseconds / 1_000);
}

async function openPublisher({ kafka }: Place, mode: DeliveryMode): Promise<Publisher> {
  if (mode === 'at-least-once') return new KafkaPublisher(kafka);
  const publisher = new KafkaTransactionalPublisher(kafka);
  await publisher.open(`bench-${kafka.topic}`, new AbortController().signal);
  return publisher;
}
