import { KafkaPublisher } from '../../src/kafka/publisher.ts';
import { KafkaTransactionalPublisher } from '../../src/kafka/transactional-publisher.ts';
import type { DeliveryMode, OutgoingRecord, Publisher } from '../../src/relay/ports.ts';
import type { Place } from './stage.ts';

/** As many as the relay claims at most. */
const BATCH = 2_000;

const ROWS = `SELECT id, topic, key, shard, payload, headers FROM event_outbox WHERE id > $1 ORDER BY id LIMIT $2`;

/** The same records by the same client, and nothing besides: events per second of the time spent in sends. */
export async function sendOnly(place: Place, mode: DeliveryMode, events: number): Promise<number> {
  const publisher = await openPublisher(place, mode);
  let milliseconds = 0;
  let last = 0;
  for (let sent = 0; sent < events;) {
    // Read between the sends, off the clock: all of them at once would not fit into memory.
    const { rows } = await place.database.query<OutgoingRecord & { id: string }>(ROWS, [last, BATCH]);
    const began = performance.now();
    const outcomes = await publisher.send(rows);
    milliseconds += performance.now() - began;
    const lost = outcomes.find(({ kind }) => kind !== 'acknowledged');
    if (rows.length === 0 || lost !== undefined) throw new Error(`a send failed: ${JSON.stringify(lost ?? 'no rows')}`);
    last = Number(rows.at(-1)?.id ?? 0);
    sent += rows.length;
  }
  await publisher.close();
  return events / (milliseconds / 1_000);
}

async function openPublisher({ kafka }: Place, mode: DeliveryMode): Promise<Publisher> {
  if (mode === 'at-least-once') return new KafkaPublisher(kafka);
  const publisher = new KafkaTransactionalPublisher(kafka);
  await publisher.open(`bench-${kafka.topic}`, new AbortController().signal);
  return publisher;
}
