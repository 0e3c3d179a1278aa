import { setTimeout as delay } from 'node:timers/promises';
import { KafkaPublisher } from '../kafka/publisher.ts';
import { ensureTopic, TopicError, type TopicState } from '../kafka/topic.ts';
import { createPool } from '../postgres/pool.ts';
import { createRead } from '../postgres/read.ts';
import { createRelayLease } from '../postgres/relay-lease.ts';
import { readSettings, type DatabaseSettings } from '../postgres/settings.ts';
import { DatabaseWakeup } from '../postgres/wakeup.ts';
import type { Published } from '../relay/drain-batch.ts';
import type { Wakeup } from '../relay/ports.ts';
import { Relay } from '../relay/relay.ts';
import type { Service } from '../service.ts';
import type { Parts } from './parts.ts';
import { untilAvailable } from './until-available.ts';

/** Milliseconds that the database may take to tell its settings. */
const SETTINGS_LIMIT = 3_000;
/** Milliseconds between looks for a broker that is away at the start. */
const TOPIC_RETRY = 2_000;
/** Records of one partition in one send take at most this share of max.message.bytes: the rest is for what Kafka adds. */
const BATCH_SHARE = 0.85;

/** The relay, and what it does before it can begin: learn the number of shards, make sure of the topic. */
export async function startRelay(parts: Parts): Promise<Relay> {
  const { config, infrastructure, lifecycle, logger } = parts;
  const { shards } = await readShards(parts);
  const topic = await firstLook(parts, shards);
  const distantCommits = new DatabaseWakeup(infrastructure.database.url, logger);
  await lifecycle.start(distantCommits);
  const relay = new Relay(
    {
      lease: createRelayLease(infrastructure.database.url),
      publisher: new KafkaPublisher(infrastructure.kafka),
      wakeup: either(parts.wakeup, distantCommits),
      logger,
    },
    { ...config.relay, ...batchBytes(topic), onPublished: (published) => tellPublished(parts, published) },
  );
  await lifecycle.start(topic === null ? whenTopicIsThere(relay, parts, shards) : relay);
  return relay;
}

/** Hints of the API in this process, and of those in others. */
function either(one: Wakeup, other: Wakeup): Wakeup {
  return {
    subscribe: (listener) => {
      const ends = [one.subscribe(listener), other.subscribe(listener)];
      return () => {
        for (const end of ends) end();
      };
    },
  };
}

async function readShards({ infrastructure, logger, signal }: Parts): Promise<DatabaseSettings> {
  const pool = createPool({ ...infrastructure.database, poolSize: 1 }, 'genesis-relay-start', logger);
  try {
    return await untilAvailable('the database', () => readSettings(createRead(pool, SETTINGS_LIMIT)), logger, signal);
  } finally {
    await pool.end();
  }
}

function batchBytes(topic: TopicState | null): { maxPartitionBytes?: number } {
  return topic === null ? {} : { maxPartitionBytes: Math.floor(topic.maxMessageBytes * BATCH_SHARE) };
}

/** Null if the broker is away: no reason not to take commands. */
async function firstLook(parts: Parts, shards: number): Promise<TopicState | null> {
  try {
    return await lookForTopic(parts, shards);
  } catch (error) {
    if (!isAway(error)) throw error;
    parts.logger.warn({ error: error.message }, 'waiting for Kafka: commands are taken meanwhile');
    return null;
  }
}

/** Without a cause of the broker's it is the topic that is wrong, and waiting does not mend it. */
function isAway(error: unknown): error is TopicError {
  return error instanceof TopicError && error.cause !== undefined;
}

function lookForTopic({ infrastructure: { kafka } }: Parts, partitions: number): Promise<TopicState> {
  const replicationFactor = kafka.replication ?? 3;
  return ensureTopic(kafka, { partitions, replicationFactor, minInsyncReplicas: Math.max(1, replicationFactor - 1) });
}

/** Starts the relay once the topic is there. */
function whenTopicIsThere(relay: Relay, parts: Parts, shards: number): Service {
  const stopping = new AbortController();
  let waiting: Promise<void> = Promise.resolve();
  const wait = async () => {
    while (!stopping.signal.aborted) {
      await delay(TOPIC_RETRY, undefined, { signal: stopping.signal });
      const there = await lookForTopic(parts, shards).then(
        () => true,
        (error: unknown) => {
          if (!isAway(error)) throw error;
          return false;
        },
      );
      if (there) return relay.start();
    }
  };
  return {
    name: 'relay',
    start: () => {
      waiting = wait().catch((error: unknown) => {
        if (!stopping.signal.aborted) parts.fail(error);
      });
      return Promise.resolve();
    },
    stop: async () => {
      stopping.abort();
      await waiting;
      await relay.stop();
    },
  };
}

/** One line per event: what somebody who tries Genesis wants to see. In production it is a detail. */
function tellPublished({ logger, infrastructure }: Parts, { row, sent }: Published): void {
  const place = {
    session: row.key,
    version: row.sequence,
    partition: sent.partition,
    offset: sent.offset,
    event_id: row.eventId,
  };
  const text = `published ${row.headers['ce_type'] ?? 'event'}`;
  if (infrastructure.origin === 'configured') logger.debug(place, text);
  else logger.info(place, text);
}
