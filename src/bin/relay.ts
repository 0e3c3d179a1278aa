import { KafkaPublisher } from '../kafka/publisher.ts';
import { KafkaTopicReader } from '../kafka/topic-reader.ts';
import { KafkaTransactionalPublisher } from '../kafka/transactional-publisher.ts';
import { measuredPublisher, measuredTransactions } from '../observability/metrics/measured-publisher.ts';
import { CleanUp } from '../outbox/clean-up.ts';
import { createPool } from '../postgres/pool.ts';
import { createRead } from '../postgres/read.ts';
import { readEarlierRuns } from '../postgres/earlier-runs.ts';
import { createRelayGroup } from '../postgres/relay-group.ts';
import { createSettledRows } from '../postgres/settled-rows.ts';
import { readSettings, type DatabaseSettings } from '../postgres/settings.ts';
import { DatabaseWakeup } from '../postgres/wakeup.ts';
import type { Wakeup } from '../relay/ports.ts';
import type { Published } from '../relay/record-outcomes.ts';
import { Relay } from '../relay/relay.ts';
import { closing } from './lifecycle.ts';
import type { Parts } from './parts.ts';
import { untilAvailable } from './until-available.ts';
import { warnOfChanges } from './warn-of-changes.ts';
import { askSendLimit, withTopic } from './with-topic.ts';

/** Milliseconds that the database may take to tell its settings. */
const SETTINGS_LIMIT = 3_000;
/** Milliseconds that one step of the clean-up may take. */
const CLEAN_UP_LIMIT = 10_000;

/** The relay, and what it does before it can begin: learn the number of shards, make sure of the topic. */
export async function startRelay(parts: Parts): Promise<Relay> {
  const { config, infrastructure, lifecycle, logger } = parts;
  const { shards } = await readShards(parts);
  const distantCommits = new DatabaseWakeup(infrastructure.database.url, logger);
  await lifecycle.start(distantCommits);
  const { kafka } = infrastructure;
  const meter = parts.metrics?.relay ?? null;
  const publisher = new KafkaPublisher(kafka);
  const transactions = new KafkaTransactionalPublisher(kafka);
  const relay = new Relay(
    {
      group: createRelayGroup(infrastructure.database.url, {
        onStandby: () => logger.info('a relay of an earlier version is at work: standing by until it ends'),
      }),
      publisher: meter === null ? publisher : measuredPublisher(publisher, meter),
      probe: new KafkaPublisher(kafka, { clientId: 'genesis-relay-probe' }),
      transactions: meter === null ? transactions : measuredTransactions(transactions, meter),
      reader: new KafkaTopicReader(kafka),
      wakeup: either(parts.wakeup, distantCommits),
      logger,
    },
    {
      ...config.relay,
      askMaxPartitionBytes: () => askSendLimit(kafka, shards, parts.signal),
      onPublished: (published) => tellPublished(parts, published),
      onClaim: meter?.claimed,
      onMark: meter?.marked,
      onAcknowledged: meter?.acknowledged,
    },
  );
  meter?.watch(relay);
  await lifecycle.start(withTopic(relay, parts, shards));
  await startCleanUp(parts);
  return relay;
}

async function startCleanUp({ config, infrastructure, lifecycle, logger, metrics }: Parts): Promise<void> {
  const { retention } = config.outbox;
  if (retention === null) return;
  const pool = createPool({ ...infrastructure.database, poolSize: 1 }, 'genesis-clean-up', logger);
  await lifecycle.start(closing('clean-up pool', () => pool.end()));
  metrics?.addPool('clean-up', pool);
  await lifecycle.start(new CleanUp(createSettledRows(createRead(pool, CLEAN_UP_LIMIT)), { retention }, logger));
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

/** Before the relay joins: its joining sweeps out who was there. */
async function readShards({ config, infrastructure, logger, signal }: Parts): Promise<DatabaseSettings> {
  const pool = createPool({ ...infrastructure.database, poolSize: 1 }, 'genesis-relay-start', logger);
  try {
    const read = createRead(pool, SETTINGS_LIMIT);
    const settings = await untilAvailable('the database', () => readSettings(read), logger, signal);
    // A warning is not worth a start that fails; a database of an earlier version is told about by the relay itself.
    const earlier = await readEarlierRuns(read).catch(() => null);
    if (earlier !== null) warnOfChanges(earlier, config, logger);
    return settings;
  } finally {
    await pool.end();
  }
}

/** One line per event: what somebody who tries Genesis wants to see. In production it is a detail. */
function tellPublished({ logger, infrastructure }: Parts, { row, sent }: Published): void {
  const level = infrastructure.origin === 'configured' ? 'debug' : 'info';
  if (!logger.isLevelEnabled(level)) return;
  const place = {
    session: row.key,
    version: row.sequence,
    partition: sent.partition,
    offset: sent.offset,
    event_id: row.eventId,
  };
  const what = row.headers['ce_type'] ?? 'event';
  logger[level](
    place,
    row.payload === null && row.topic !== ''
      ? `published the marker of ${what}, which was discarded`
      : `published ${what}`,
  );
}
