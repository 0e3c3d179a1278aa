import { KafkaPublisher } from '../kafka/publisher.ts';
import { createPool } from '../postgres/pool.ts';
import { createRead } from '../postgres/read.ts';
import { createRelayLease } from '../postgres/relay-lease.ts';
import { readSettings, type DatabaseSettings } from '../postgres/settings.ts';
import { DatabaseWakeup } from '../postgres/wakeup.ts';
import type { Published } from '../relay/drain-batch.ts';
import type { Wakeup } from '../relay/ports.ts';
import { Relay } from '../relay/relay.ts';
import type { Parts } from './parts.ts';
import { untilAvailable } from './until-available.ts';
import { withTopic } from './with-topic.ts';

/** Milliseconds that the database may take to tell its settings. */
const SETTINGS_LIMIT = 3_000;

/** The relay, and what it does before it can begin: learn the number of shards, make sure of the topic. */
export async function startRelay(parts: Parts): Promise<Relay> {
  const { config, infrastructure, lifecycle, logger } = parts;
  const { shards } = await readShards(parts);
  const distantCommits = new DatabaseWakeup(infrastructure.database.url, logger);
  await lifecycle.start(distantCommits);
  const relay = new Relay(
    {
      lease: createRelayLease(infrastructure.database.url, {
        onStandby: () => logger.info('another relay holds the lease: standing by'),
      }),
      publisher: new KafkaPublisher(infrastructure.kafka),
      wakeup: either(parts.wakeup, distantCommits),
      logger,
    },
    { ...config.relay, onPublished: (published) => tellPublished(parts, published) },
  );
  await lifecycle.start(withTopic(relay, parts, shards));
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
