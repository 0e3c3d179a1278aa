import { KafkaPublisher } from '../kafka/publisher.ts';
import { KafkaTopicReader } from '../kafka/topic-reader.ts';
import { KafkaTransactionalPublisher } from '../kafka/transactional-publisher.ts';
import { measuredPublisher, measuredTransactions } from '../observability/metrics/measured-publisher.ts';
import { CleanUp } from '../outbox/clean-up.ts';
import { createPool } from '../postgres/pool.ts';
import { createRead, type Read } from '../postgres/read.ts';
import { readEarlierRuns, wasPublishedTo } from '../postgres/earlier-runs.ts';
import { createRelayGroup } from '../postgres/relay-group.ts';
import { createSettledRows } from '../postgres/settled-rows.ts';
import { readSettings, type DatabaseSettings } from '../postgres/settings.ts';
import { DatabaseWakeup } from '../postgres/wakeup.ts';
import { identityOf } from '../relay/identity.ts';
import type { Wakeup } from '../relay/ports.ts';
import type { Published } from '../relay/record-outcomes.ts';
import { Relay, type RelayPorts } from '../relay/relay.ts';
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
  const { publisher, transactions, probe } = watched(parts, {
    publisher: new KafkaPublisher(kafka),
    transactions: new KafkaTransactionalPublisher(kafka),
    probe: new KafkaPublisher(kafka, { clientId: 'genesis-relay-probe' }),
  });
  const relay = new Relay(
    {
      group: createRelayGroup(infrastructure.database.url, {
        onStandby: () => logger.info('a relay of an earlier version is at work: standing by until it ends'),
      }),
      publisher,
      probe,
      transactions,
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
  await lifecycle.start(withTopic(relay, parts, shards, () => wasPublished(parts)));
  await startCleanUp(parts);
  return relay;
}

type Publishers = Pick<RelayPorts, 'publisher' | 'transactions' | 'probe'>;

/** The same, their sends measured and traced as far as somebody wants to know. */
function watched({ metrics, tracing }: Parts, { publisher, transactions, probe }: Publishers): Publishers {
  const meter = metrics?.relay ?? null;
  const measured = {
    publisher: meter === null ? publisher : measuredPublisher(publisher, meter),
    transactions: meter === null ? transactions : measuredTransactions(transactions, meter),
    probe,
  };
  if (tracing === null) return measured;
  return {
    publisher: tracing.publisher(measured.publisher),
    transactions: tracing.transactions(measured.transactions),
    probe: tracing.publisher(measured.probe),
  };
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
async function readShards(parts: Parts): Promise<DatabaseSettings> {
  const { config, logger, signal } = parts;
  return withRead(parts, async (read) => {
    const settings = await untilAvailable('the database', () => readSettings(read), logger, signal);
    // A warning is not worth a start that fails; a database of an earlier version is told about by the relay itself.
    const earlier = await readEarlierRuns(read).catch(() => null);
    if (earlier !== null) warnOfChanges(earlier, config, logger);
    return settings;
  });
}

/** Whether events were published to the topic before, by whichever relay. @throws GenesisError UNAVAILABLE */
async function wasPublished(parts: Parts): Promise<boolean> {
  return withRead(parts, async (read) => wasPublishedTo(parts.infrastructure.kafka.topic, await readEarlierRuns(read)));
}

/** Lends a connection for a moment. */
async function withRead<Result>(
  { infrastructure, logger }: Parts,
  use: (read: Read) => Promise<Result>,
): Promise<Result> {
  const pool = createPool({ ...infrastructure.database, poolSize: 1 }, 'genesis-relay-start', logger);
  try {
    return await use(createRead(pool, SETTINGS_LIMIT));
  } finally {
    await pool.end();
  }
}

/** One line per event: what somebody who tries Genesis wants to see. In production it is a detail. */
function tellPublished({ logger, infrastructure }: Parts, { row, sent }: Published): void {
  const level = infrastructure.origin === 'configured' ? 'debug' : 'info';
  if (!logger.isLevelEnabled(level)) return;
  const place = {
    version: row.sequence,
    partition: sent.partition,
    offset: sent.offset,
    ...identityOf(row),
  };
  const what = row.headers['ce_type'] ?? 'event';
  // Of what was found in the topic when a shard was taken over no more than its place is known, not even the topic's name.
  logger[level](
    place,
    row.payload === null && row.topic !== ''
      ? `published the marker of ${what}, which was discarded`
      : `published ${what}`,
  );
}
