import type { EventId, SessionId } from '../genesis/ids.ts';
import type {
  Hold,
  MemberFacts,
  OperatorAction,
  OutboxRow,
  RelayFacts,
  ShardCount,
  ShardFacts,
} from '../outbox/operations/ports.ts';
import type { OutboxStatus } from '../outbox/outbox-row.ts';

/** Rows of the operators' statements, and what they mean. */

export interface RowColumns {
  readonly id: string;
  readonly event_id: EventId;
  readonly event_type: string | null;
  readonly key: SessionId;
  readonly sequence: number;
  readonly shard: number;
  readonly topic: string;
  readonly status: OutboxStatus;
  readonly retry_count: number;
  readonly max_retries: number;
  readonly last_error: string | null;
  readonly scheduled_at: Date;
  readonly created_at: Date;
  readonly age: number;
  readonly sent_at: Date | null;
  readonly partition: number | null;
  readonly offset: string | null;
}

export function toOutboxRow(row: RowColumns): OutboxRow {
  return {
    id: Number(row.id),
    eventId: row.event_id,
    eventType: row.event_type,
    sessionId: row.key,
    sequence: row.sequence,
    shard: row.shard,
    topic: row.topic,
    status: row.status,
    retryCount: row.retry_count,
    maxRetries: row.max_retries,
    lastError: row.last_error,
    scheduledAt: row.scheduled_at.getTime(),
    createdAt: row.created_at.getTime(),
    age: row.age,
    sentAt: row.sent_at?.getTime() ?? null,
    partition: row.partition,
    offset: row.offset === null ? null : Number(row.offset),
  };
}

export interface HoldColumns {
  readonly key: SessionId;
  readonly next_sequence: number;
  readonly since: Date;
  readonly waits_until: Date | null;
  readonly blocking_id: number | null;
  readonly blocking_event: EventId | null;
  readonly blocking_sequence: number | null;
  readonly blocking_status: OutboxStatus | null;
  readonly blocking_error: string | null;
}

export function toHold(row: HoldColumns): Hold {
  return {
    sessionId: row.key,
    nextSequence: row.next_sequence,
    blocking: toBlocking(row),
    waitsUntil: row.waits_until?.getTime() ?? null,
    since: row.since.getTime(),
  };
}

function toBlocking(row: HoldColumns): Hold['blocking'] {
  const { blocking_id: id, blocking_event: eventId, blocking_sequence: sequence, blocking_status: status } = row;
  if (id === null || eventId === null || sequence === null || status === null) return null;
  return { id, eventId, sequence, status, lastError: row.blocking_error };
}

export interface ShardColumns {
  readonly shard: number;
  readonly owner: number | null;
  readonly owner_name: string | null;
  readonly lease_expires_in: number | null;
  readonly state: string;
  readonly paused: boolean;
  readonly topic_ahead_at: string | null;
  readonly epoch: number;
  readonly floor: number;
  readonly position: string;
  readonly last_progress_at: Date | null;
  readonly last_error: string | null;
}

export interface MemberColumns {
  readonly id: number;
  readonly name: string;
  readonly delivery: string;
  readonly joined_at: Date;
  readonly expires_in: number;
  readonly shards: readonly number[];
}

export function toRelayFacts(
  shards: readonly ShardColumns[],
  members: readonly MemberColumns[],
  topicAhead: boolean,
): RelayFacts {
  return { shards: shards.map(toShard), members: members.map(toMember), topicAhead };
}

function toShard(row: ShardColumns): ShardFacts {
  return {
    shard: row.shard,
    owner: row.owner === null ? null : { id: row.owner, name: row.owner_name },
    leaseExpiresIn: row.lease_expires_in,
    state: row.state,
    paused: row.paused,
    topicAheadAt: row.topic_ahead_at,
    epoch: row.epoch,
    floor: row.floor,
    position: row.position,
    lastProgressAt: row.last_progress_at?.getTime() ?? null,
    lastError: row.last_error,
  };
}

function toMember(row: MemberColumns): MemberFacts {
  const { id, name, delivery, joined_at: joinedAt, expires_in: expiresIn, shards } = row;
  return { id, name, delivery, joinedAt: joinedAt.getTime(), expiresIn, shards };
}

export interface OrdinaryColumns {
  readonly shard: number;
  readonly pending: number;
  readonly oldest_age: number | null;
  readonly examined: number;
  readonly last: number;
}

export interface HeldColumns extends Omit<OrdinaryColumns, 'last'> {
  readonly sessions: number;
  readonly waiting_for_retry: number;
  readonly held: number;
  readonly failed: number;
  readonly discarded: number;
  /** Most rows of one session. */
  readonly longest: number | null;
  readonly last: SessionId;
}

export function ordinaryCount({ shard, pending, oldest_age: oldestAge }: OrdinaryColumns): ShardCount {
  return { shard, pending, waitingForRetry: 0, held: 0, failed: 0, discarded: 0, sessionsOnHold: 0, oldestAge };
}

export function heldCount(row: HeldColumns): ShardCount {
  return {
    shard: row.shard,
    pending: row.pending,
    waitingForRetry: row.waiting_for_retry,
    held: row.held,
    failed: row.failed,
    discarded: row.discarded,
    sessionsOnHold: row.sessions,
    oldestAge: row.oldest_age,
  };
}

export interface ActionColumns {
  readonly id: number;
  readonly at: Date;
  readonly call_id: string;
  readonly actor: string;
  readonly via: string;
  readonly action: string;
  readonly filter: unknown;
  readonly reason: string | null;
  readonly event_ids: readonly EventId[];
  readonly shards: readonly number[];
}

export function toAction(row: ActionColumns): OperatorAction {
  return {
    id: row.id,
    at: row.at.getTime(),
    callId: row.call_id,
    actor: row.actor,
    via: row.via,
    action: row.action,
    filter: row.filter,
    reason: row.reason,
    eventIds: row.event_ids,
    shards: row.shards,
  };
}
