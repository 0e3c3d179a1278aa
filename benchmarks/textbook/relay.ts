import { setTimeout as sleep } from 'node:timers/promises';
import { ProduceAcks, Producer, stringSerializers } from '@platformatic/kafka';
import pg from 'pg';

/*
 * The relay that one would otherwise write: looks into the outbox every five seconds, sends what it finds one after the other, and
 * marks each. Kinder than some: while it finds whole batches, it does not wait.
 */

const POLL_INTERVAL = 5_000;
const BATCH = 100;

interface Message {
  readonly id: string;
  readonly topic: string;
  readonly key: string;
  readonly payload: object;
  readonly headers: Record<string, string>;
}

const { DATABASE_URL: connectionString, KAFKA_BROKERS: brokers = '' } = process.env;
const pool = new pg.Pool({ connectionString, max: 1 });
const producer = new Producer<string, string, string, string>({
  clientId: 'textbook-relay',
  bootstrapBrokers: brokers.split(','),
  serializers: stringSerializers,
  acks: ProduceAcks.ALL,
});
const stopping = new AbortController();
process.once('SIGTERM', () => stopping.abort());

/** Gives how many were sent. */
async function relayBatch(): Promise<number> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const { rows } = await client.query<Message>(
      `SELECT id, topic, key, payload, headers FROM event_outbox WHERE status = 'PENDING' ORDER BY id
       LIMIT $1 FOR UPDATE SKIP LOCKED`,
      [BATCH],
    );
    for (const { id, topic, key, payload, headers } of rows) {
      await producer.send({ messages: [{ topic, key, value: JSON.stringify(payload), headers }] });
      await client.query(`UPDATE event_outbox SET status = 'SENT', sent_at = now() WHERE id = $1`, [id]);
    }
    await client.query('COMMIT');
    return rows.length;
  } finally {
    client.release();
  }
}

console.log('ready');
while (!stopping.signal.aborted) {
  const sent = await relayBatch();
  if (sent < BATCH) await sleep(POLL_INTERVAL, undefined, { signal: stopping.signal }).catch(() => {});
}
await producer.close();
await pool.end();
