import type { Backlog, Backlogs } from '../../outbox/operations/figures.ts';
import type { MemberFacts, RelayFacts, ShardFacts } from '../../outbox/operations/ports.ts';
import type { EarlierRuns } from '../../postgres/earlier-runs.ts';
import { age, atLeast } from '../outbox-text.ts';
import { counted } from '../progress.ts';
import { saysOf, type Check } from './check.ts';

const says = saysOf('relays');

/** Seconds after which an event that waits, though relays run, is worth a look: the objective is a minute. */
const LATE = 60;
/** Seconds after which nobody should wait for it to mend itself. GenesisEventsDelayed pages after half of that. */
const TOO_LATE = 600;

export interface RelayRules {
  /** RELAY_DELIVERY. */
  readonly delivery: string;
  /** KAFKA_TOPIC. */
  readonly topic: string;
}

export interface FoundRelays {
  readonly relays: RelayFacts;
  readonly backlogs: Backlogs;
  readonly earlier: EarlierRuns;
  /** Partitions whose last record the database does not know; null: it was not looked at. */
  readonly ahead: readonly number[] | null;
}

export function judgeRelays({ relays, backlogs, earlier, ahead }: FoundRelays, rules: RelayRules): readonly Check[] {
  const alive = relays.members.filter(({ expiresIn }) => expiresIn > 0);
  return [
    judgeAlive(alive, backlogs.total),
    judgeDelivery(alive, earlier, rules),
    judgeTopicName(earlier, rules),
    judgeOwners(relays.shards, alive.length > 0),
    ...judgeShards(relays.shards),
    judgeAhead(relays, ahead),
    judgeFailed(backlogs.total),
    judgeLate(backlogs.total, alive.length > 0),
  ];
}

function judgeAlive(alive: readonly MemberFacts[], { pending }: Backlog): Check {
  if (alive.length === 0) {
    const waits = pending === 0 ? 'nothing waits now' : `${counted(pending, 'event')} and more may wait`;
    return says.fail('alive', `no relay runs: nothing is published (${waits})`, 'npx genesis relay');
  }
  const names = alive.map(({ id, name, shards }) => `${id} ${name} (${counted(shards.length, 'shard')})`);
  return says.ok('alive', names.join(', '));
}

function judgeDelivery(alive: readonly MemberFacts[], { exactlyOnce }: EarlierRuns, { delivery }: RelayRules): Check {
  const other = alive.find((member) => member.delivery !== delivery);
  if (other !== undefined) {
    const detail = `RELAY_DELIVERY is ${delivery} here, but relay ${other.id} (${other.name}) delivers ${other.delivery}: no relay of ${delivery} starts beside it`;
    return says.warn('delivery', detail, `set RELAY_DELIVERY=${other.delivery}; to change it, stop all relays first`);
  }
  if (alive.length === 0 && exactlyOnce && delivery === 'at-least-once') {
    const detail =
      'RELAY_DELIVERY is at-least-once here, but the last relays delivered exactly once: duplicates become possible';
    return says.warn('delivery', detail, 'set RELAY_DELIVERY=exactly-once, unless the change is meant');
  }
  return says.ok('delivery', delivery);
}

function judgeTopicName({ newestTopic }: EarlierRuns, { topic }: RelayRules): Check {
  if (newestTopic === null) return says.ok('topic', `no row of event_outbox yet; KAFKA_TOPIC is ${topic}`);
  if (newestTopic === topic) return says.ok('topic', `the newest rows are for ${topic}, as KAFKA_TOPIC says`);
  const detail = `KAFKA_TOPIC is ${topic} here, but the newest rows of event_outbox are for ${newestTopic}`;
  return says.warn('topic', detail, 'set KAFKA_TOPIC back, unless the change is meant (docs/operations/republish.md)');
}

function judgeOwners(shards: readonly ShardFacts[], relaysRun: boolean): Check {
  const free = shards.filter(({ owner }) => owner === null).map(({ shard }) => shard);
  if (free.length === 0) return says.ok('owners', `each of ${counted(shards.length, 'shard')} has a relay`);
  const detail = `no relay drains ${free.length === shards.length ? 'any shard' : `shards ${free.join(', ')}`}`;
  if (!relaysRun) return says.fail('owners', detail, 'npx genesis relay');
  return says.warn('owners', detail, 'look again: shares change within seconds. If it stays so, read the relays’ logs');
}

function judgeShards(shards: readonly ShardFacts[]): readonly Check[] {
  const checks: Check[] = [];
  const paused = shards.filter((facts) => facts.paused).map(({ shard }) => shard);
  if (paused.length > 0) {
    const todo = 'npx genesis outbox actions --action pause says who and why; then npx genesis shards resume';
    checks.push(says.warn('paused', `shards ${paused.join(', ')} are paused`, todo));
  }
  checks.push(...judgeRecovering(shards));
  for (const { shard, state, lastError } of shards) {
    if (state !== 'unavailable') continue;
    const detail = `shard ${shard} cannot be written: ${lastError ?? 'it is not known why'}`;
    checks.push(says.fail('unavailable', detail, 'look after the broker: the relay goes on by itself'));
  }
  return checks;
}

/** Each shard is read back before it is drained, in a moment. One that stays so is drained as little as one without a relay. */
function judgeRecovering(shards: readonly ShardFacts[]): readonly Check[] {
  const recovering = shards.filter(({ state }) => state === 'recovering');
  const checks = recovering.flatMap(({ shard, lastError }) => {
    if (lastError === null) return [];
    const detail = `shard ${shard} is read back and not drained yet; what went wrong last: ${lastError}`;
    return [says.warn('recovering', detail, 'mend what that says: the relay tries again by itself')];
  });
  const fresh = recovering.filter(({ lastError }) => lastError === null).map(({ shard }) => shard);
  if (fresh.length === 0) return checks;
  const detail = `shards ${fresh.join(', ')} are read back and not drained yet`;
  const todo = 'look again: it takes seconds. If it stays so, read the relays’ logs';
  return [...checks, says.warn('recovering', detail, todo)];
}

function judgeAhead({ topicAhead, shards }: RelayFacts, ahead: readonly number[] | null): Check {
  const told = shards.filter(({ topicAheadAt }) => topicAheadAt !== null).map(({ shard }) => shard);
  const found = [...new Set([...told, ...(ahead ?? [])])].toSorted((one, other) => one - other);
  if (topicAhead || found.length > 0) {
    const where = found.length === 0 ? '' : ` in partitions ${found.join(', ')}`;
    const detail = `the topic holds events that the database lacks${where}: commands are refused, nothing is published`;
    return says.fail('topic ahead', detail, 'npx genesis recover --from-topic (docs/operations/recover.md)');
  }
  if (ahead === null)
    return says.skip('topic ahead', 'no relay has found it so; the ends of the topic could not be compared');
  return says.ok('topic ahead', 'no: the database knows the last event of every partition');
}

function judgeFailed({ failed, sessionsOnHold, complete }: Backlog): Check {
  if (failed > 0) {
    const detail = `${atLeast(failed, complete)} FAILED; sessions on hold: ${atLeast(sessionsOnHold, complete)}`;
    return says.fail('FAILED', detail, 'npx genesis outbox list --status FAILED, then retry or discard');
  }
  if (sessionsOnHold === 0) return says.ok('FAILED', 'none');
  return says.warn(
    'FAILED',
    `none; sessions that wait for a retry: ${atLeast(sessionsOnHold, complete)}`,
    'look again: it takes seconds',
  );
}

function judgeLate({ pending, oldestAge, complete }: Backlog, relaysRun: boolean): Check {
  const detail = `${atLeast(pending, complete)} PENDING${oldestAge === null ? '' : `, the oldest for ${age(oldestAge)}`}`;
  if (!relaysRun || oldestAge === null || oldestAge < LATE) return says.ok('backlog', detail);
  if (oldestAge <= TOO_LATE)
    return says.warn('backlog', detail, 'npx genesis shards, and npx genesis outbox why SESSION, tell what keeps it');
  const todo =
    'npx genesis shards says what stands still and why, npx genesis outbox list which events wait; what to do is in ' +
    'docs/operations/alerts/GenesisEventsDelayed.md';
  return says.fail('backlog', detail, todo);
}
