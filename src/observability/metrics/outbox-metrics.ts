import type { Logger } from 'pino';
import { Gauge, type Registry } from 'prom-client';
import type { Backlog, Backlogs } from '../../outbox/operations/figures.ts';
import type { RelayFacts, ShardFacts } from '../../outbox/operations/ports.ts';
import { Latest } from './latest.ts';
import type { Metrics } from './metrics.ts';
import { tellMissingFigures } from './missing-figures.ts';
import { setState, SHARD_STATES } from './shard-states.ts';

/** Milliseconds that a scrape waits for the database. */
const WAIT = 500;
/** Scraping more often than `keep` costs the database nothing. Under load counting may take longer than a scrape waits. */
const FIGURES = { keep: 5_000, wait: WAIT, serve: 60_000 };
/** Whether it answers now. */
const CLOCK = { keep: 500, wait: WAIT, serve: 0 };

interface OutboxFigures {
  readonly relays: RelayFacts;
  readonly backlogs: Backlogs;
  /** Of the rows of event_outbox. */
  readonly lastId: number;
}

/** What is asked of the database. */
export interface DatabaseFigures {
  /** Its clock, in milliseconds since the epoch. */
  clock(): Promise<number>;
  outbox(): Promise<OutboxFigures>;
}

/**
 * What the database tells of outbox and shards. While it does not, these are absent; genesis_outbox_figures_up says so, and
 * genesis_database_up whether it answers at all.
 *
 * @param logger Told why they are missing, while the database answers.
 */
export function outboxMetrics(metrics: Metrics, figures: DatabaseFigures, logger: Pick<Logger, 'info' | 'warn'>): void {
  const up = new Gauge({
    name: 'genesis_database_up',
    help: `1 if the database answered this scrape within ${WAIT} ms`,
    registers: [metrics.registry],
  });
  const there = new Gauge({
    name: 'genesis_outbox_figures_up',
    help: '1 if the database answers and its figures of the outbox are there, a minute old at the most; 0: the other genesis_outbox_…, the genesis_shard_… and genesis_relay_members are absent',
    registers: [metrics.registry],
  });
  const offset = new Gauge({
    name: 'genesis_database_clock_offset_seconds',
    help: "By how much the database's clock is ahead of this machine's",
    registers: [metrics.registry],
  });
  const tell = outboxGauges(metrics.registry);
  const clock = new Latest(() => offsetOf(figures), CLOCK);
  const outbox = new Latest(() => figures.outbox(), FIGURES);
  const tellMissing = tellMissingFigures(logger, WAIT);
  metrics.onScrape(async () => {
    const [ahead, found] = await Promise.all([clock.get(), outbox.get()]);
    up.set(ahead === null ? 0 : 1);
    if (ahead === null) offset.remove();
    else offset.set(ahead);
    const known = ahead === null ? null : found;
    there.set(known === null ? 0 : 1);
    tell(known);
    if (ahead !== null) tellMissing(found !== null, outbox.error);
  });
}

/** Seconds; what the question took is halved. The first one may have to open a connection, which is not taken for a question. */
async function offsetOf(figures: DatabaseFigures): Promise<number> {
  await figures.clock();
  const before = Date.now();
  const there = await figures.clock();
  return (there - (before + Date.now()) / 2) / 1_000;
}

type Tell = (figures: OutboxFigures | null) => void;

function outboxGauges(registry: Registry): Tell {
  const backlog = backlogGauges(registry);
  const shards = shardGauges(registry);
  const registers = [registry];
  const ahead = new Gauge({
    name: 'genesis_outbox_topic_ahead',
    help: '1 while the topic holds events that the database does not: nothing is published, commands are refused',
    registers,
  });
  const members = new Gauge({
    name: 'genesis_relay_members',
    help: 'Relays that are alive, of this database',
    registers,
  });
  const bound = new Gauge({
    name: 'genesis_outbox_backlog_bound_events',
    help: 'No more events than this are on their ordinary way: ids from the lowest floor of a shard to the last one. Costs nothing to know, also of millions',
    registers,
  });
  return (figures) => {
    for (const { gauge } of backlog) gauge.reset();
    for (const gauge of Object.values(shards)) gauge.reset();
    if (figures === null) {
      ahead.remove();
      bound.remove();
      members.remove();
      return;
    }
    const { relays, backlogs, lastId } = figures;
    const lowest = Math.min(...relays.shards.map(({ floor }) => floor));
    bound.set(Math.max(0, lastId + 1 - lowest));
    ahead.set(relays.topicAhead ? 1 : 0);
    members.set(relays.members.filter(({ expiresIn }) => expiresIn > 0).length);
    for (const [shard, counted] of backlogs.shards) {
      for (const { gauge, value } of backlog) gauge.set({ shard }, value(counted));
    }
    for (const facts of relays.shards) tellShard(shards, facts);
  };
}

function tellShard(gauges: ReturnType<typeof shardGauges>, facts: ShardFacts): void {
  const { shard, owner, state, paused, lastProgressAt } = facts;
  gauges.owner.set({ shard }, owner?.id ?? 0);
  gauges.paused.set({ shard }, paused ? 1 : 0);
  gauges.progress.set({ shard }, (lastProgressAt ?? 0) / 1_000);
  setState(SHARD_STATES, state, (name, value) => gauges.state.set({ shard, state: name }, value));
}

interface BacklogGauge {
  readonly gauge: Gauge<'shard'>;
  readonly value: (backlog: Backlog) => number;
}

function backlogGauges(registry: Registry): readonly BacklogGauge[] {
  const gauge = (name: string, help: string, value: BacklogGauge['value']): BacklogGauge => {
    return { gauge: new Gauge({ name, help, labelNames: ['shard'], registers: [registry] }), value };
  };
  return [
    gauge(
      'genesis_outbox_pending_events',
      'Events that are PENDING: the lag of the shard. A large backlog is not counted to its end, see genesis_outbox_counted_all',
      ({ pending }) => pending,
    ),
    gauge(
      'genesis_outbox_retry_events',
      'Of these, refused before and waiting for their next try: the retry queue',
      ({ waitingForRetry }) => waitingForRetry,
    ),
    gauge('genesis_outbox_held_events', 'Of these, held behind an earlier event of their session', ({ held }) => held),
    gauge('genesis_outbox_failed_events', 'Events that are FAILED and wait for an operator', ({ failed }) => failed),
    gauge(
      'genesis_outbox_discarded_events',
      'Events that are DISCARDED and whose marker is not published yet',
      ({ discarded }) => discarded,
    ),
    gauge(
      'genesis_outbox_sessions_on_hold',
      'Sessions that a refused event keeps, or has kept, from the ordinary way',
      ({ sessionsOnHold }) => sessionsOnHold,
    ),
    gauge(
      'genesis_outbox_oldest_unpublished_age_seconds',
      'Since the oldest event that is not published was committed; 0: there is none',
      ({ oldestAge }) => oldestAge ?? 0,
    ),
    gauge(
      'genesis_outbox_counted_all',
      '1 if all events of the shard were counted; 0: there are more than the numbers say',
      ({ complete }) => (complete ? 1 : 0),
    ),
  ];
}

function shardGauges(registry: Registry) {
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames: ['shard'], registers });
  return {
    owner: gauge('genesis_shard_owner', 'Id of the relay that holds the shard, as genesis shards tells it; 0: nobody'),
    paused: gauge('genesis_shard_paused', '1 if an operator has paused the shard'),
    progress: gauge(
      'genesis_shard_last_progress_timestamp_seconds',
      'When an event of the shard was last marked as published, in seconds since the epoch; 0: not known',
    ),
    state: new Gauge({
      name: 'genesis_shard_state',
      help: 'Of each shard: 1 for the state that it is in, 0 for the others; docs/relay.md draws them',
      labelNames: ['shard', 'state'],
      registers,
    }),
  };
}
