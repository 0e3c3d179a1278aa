import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { pino } from 'pino';
import { v7 as uuid } from 'uuid';
import { KafkaPublisher } from '../../src/kafka/publisher.ts';
import { KafkaTopicReader } from '../../src/kafka/topic-reader.ts';
import { KafkaTransactionalPublisher } from '../../src/kafka/transactional-publisher.ts';
import { ensureTopic } from '../../src/kafka/topic.ts';
import type { KafkaConfig } from '../../src/config.ts';
import { shardOf } from '../../src/outbox/shard.ts';
import { createRelayGroup, type RelayGroupOptions } from '../../src/postgres/relay-group.ts';
import { createLocalWakeup, type LocalWakeup } from '../../src/relay/local-wakeup.ts';
import { Relay, type RelayOptions } from '../../src/relay/relay.ts';
import { createTestDatabase } from '../support/database.ts';
import { readTopic, type LoggedRecord } from './read-topic.ts';

/** As many as a new database has shards. */
const PARTITIONS = 8;

/** An event to be put into the outbox. */
export interface TestEvent {
  readonly session: string;
  readonly sequence: number;
  readonly payload?: string;
}

export interface RelayRig {
  readonly database: pg.Pool;
  readonly databaseUrl: string;
  readonly kafka: KafkaConfig;
  readonly wakeup: LocalWakeup;
  /** A relay of its own, with short delays unless told otherwise. */
  relay(options?: Partial<RelayOptions>, group?: GroupOptions): Relay;
  /** Inserts in one transaction. */
  insert(events: readonly TestEvent[]): Promise<void>;
  statuses(): Promise<Record<string, number>>;
  log(): Promise<LoggedRecord[]>;
  close(): Promise<void>;
}

export function sessions(count: number): string[] {
  return Array.from({ length: count }, () => uuid());
}

/** A database and a topic of their own. */
export async function createRelayRig(brokers: readonly string[]): Promise<RelayRig> {
  const testDatabase = await createTestDatabase();
  const { url } = testDatabase;
  const kafka: KafkaConfig = { brokers, topic: `relay-test-${randomUUID()}` };
  await ensureTopic(kafka, { partitions: PARTITIONS, replicationFactor: 1, minInsyncReplicas: 1 });
  const database = new pg.Pool({ connectionString: url, max: 4 });
  // Idle connections end when a test drops its database or cuts its link.
  database.on('error', () => {});
  const wakeup = createLocalWakeup();
  const relays: Relay[] = [];
  return {
    database,
    databaseUrl: url,
    kafka,
    wakeup,
    relay(options = {}, group = {}) {
      const relay = createRelay({ kafka, url, wakeup }, options, group);
      relays.push(relay);
      return relay;
    },
    insert: (events) => insertEvents(database, kafka.topic, events),
    async statuses() {
      const { rows } = await database.query<{ status: string; count: number }>(
        'SELECT status, count(*)::int FROM event_outbox GROUP BY status',
      );
      return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
    },
    log: () => readTopic(brokers, kafka.topic),
    async close() {
      await Promise.all(relays.map((relay) => relay.stop()));
      await database.end();
      await testDatabase.drop();
    },
  };
}

interface Surroundings {
  readonly kafka: KafkaConfig;
  readonly url: string;
  readonly wakeup: LocalWakeup;
}

type GroupOptions = RelayGroupOptions & { readonly url?: string };

function createRelay(
  { kafka, url, wakeup }: Surroundings,
  options: Partial<RelayOptions>,
  { url: groupUrl = url, ...group }: GroupOptions,
): Relay {
  const deadline = { deliveryDeadline: 1_000 };
  return new Relay(
    {
      group: createRelayGroup(groupUrl, { standbyInterval: 50, ttl: 1_500, ...group }),
      publisher: new KafkaPublisher(kafka, deadline),
      probe: new KafkaPublisher(kafka, deadline),
      transactions: new KafkaTransactionalPublisher(kafka, deadline),
      reader: new KafkaTopicReader(kafka),
      wakeup,
      logger: pino({ level: process.env['TEST_LOG_LEVEL'] ?? 'silent' }),
    },
    {
      pollInterval: 50,
      batchSize: 100,
      batchMax: 2_000,
      delivery: 'at-least-once',
      onFailed: 'hold',
      backoff: { first: 20, most: 200 },
      beatInterval: 100,
      stopGrace: 2_000,
      ...options,
    },
  );
}

async function insertEvents(database: pg.Pool, topic: string, events: readonly TestEvent[]): Promise<void> {
  const rows = events.map(({ session, sequence, payload }) => {
    const eventId = uuid();
    return {
      event_id: eventId,
      topic,
      key: session,
      shard: shardOf(session, PARTITIONS),
      sequence,
      payload: payload ?? `{"session":"${session}","sequence":${sequence}}`,
      headers: { ce_id: eventId, sequence: String(sequence) },
    };
  });
  await database.query(
    `WITH list AS (
       SELECT event, position FROM json_array_elements($1::json) WITH ORDINALITY AS list (event, position)
     ), events AS (
       INSERT INTO domain_events (event_id, aggregate_type, aggregate_id, aggregate_version, event_type, event_version, payload,
                                  metadata, correlation_id, causation_id, created_at)
       SELECT (event->>'event_id')::uuid, 'GENESIS_SESSION', (event->>'key')::uuid, (event->>'sequence')::int,
              'Genesis.Session.Updated', 1, '{}', '{}', (event->>'event_id')::uuid, (event->>'event_id')::uuid, now()
       FROM list
     )
     INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers)
     SELECT (event->>'event_id')::uuid, event->>'topic', (event->>'key')::uuid, (event->>'shard')::int,
            (event->>'sequence')::int, event->>'payload', event->'headers'
     FROM list ORDER BY position`,
    [JSON.stringify(rows)],
  );
}

/** Versions of each session in the order in which they lie in the log. */
export function versionsBySession(log: readonly LoggedRecord[]): Map<string, number[]> {
  const versions = new Map<string, number[]>();
  for (const { key, headers } of log) {
    const known = versions.get(key);
    if (known === undefined) versions.set(key, [Number(headers['sequence'])]);
    else known.push(Number(headers['sequence']));
  }
  return versions;
}

export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
