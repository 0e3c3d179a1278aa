import type { Static } from 'typebox';
import type { Backlog, Backlogs } from '../outbox/operations/figures.ts';
import type {
  ActionResult,
  ExplainedRow,
  PauseResult,
  Preview,
  SessionPublication,
} from '../outbox/operations/operations.ts';
import type { BlockingRow, MemberFacts, OperatorAction, RelayFacts, RowAction } from '../outbox/operations/ports.ts';
import { explainSession, whatToDo, type Wait } from '../outbox/operations/why.ts';
import type {
  OperatorActionSchema,
  OutboxFiguresSchema,
  OutboxRowSchema,
  PauseSchema,
  PreviewSchema,
  RelaySchema,
  RowActionSchema,
  SessionPublicationSchema,
  ShardTableSchema,
  WaitSchema,
} from './ops-schemas.ts';

/** What operators are told, as the API and `--json` of the command line show it. */

/** Rows of one session that are shown one by one. */
const SHOWN = 20;

const NOTHING: Backlog = {
  pending: 0,
  waitingForRetry: 0,
  held: 0,
  failed: 0,
  discarded: 0,
  sessionsOnHold: 0,
  oldestAge: null,
  complete: true,
};

export function figuresBody({ total, shards }: Backlogs): Static<typeof OutboxFiguresSchema> {
  const ascending = [...shards].toSorted(([one], [other]) => one - other);
  return {
    total: backlogBody(total),
    shards: ascending.map(([shard, backlog]) => ({ shard, ...backlogBody(backlog) })),
  };
}

function backlogBody(backlog: Backlog) {
  const { waitingForRetry, sessionsOnHold, oldestAge, pending, held, failed, discarded, complete } = backlog;
  return {
    pending,
    waiting_for_retry: waitingForRetry,
    held,
    failed,
    discarded,
    sessions_on_hold: sessionsOnHold,
    oldest_age: oldestAge === null ? null : seconds(oldestAge),
    complete,
  };
}

export function rowBody({ row, waits }: ExplainedRow): Static<typeof OutboxRowSchema> {
  const retried = row.status === 'PENDING' && row.retryCount > 0;
  return {
    outbox_id: row.id,
    event_id: row.eventId,
    event_type: row.eventType,
    session_id: row.sessionId,
    sequence: row.sequence,
    shard: row.shard,
    topic: row.topic,
    status: row.status,
    retry_count: row.retryCount,
    max_retries: row.maxRetries,
    last_error: row.lastError,
    scheduled_at: retried ? time(row.scheduledAt) : null,
    created_at: time(row.createdAt),
    age: seconds(row.age),
    sent_at: timeOrNull(row.sentAt),
    partition: row.partition,
    offset: row.offset,
    waits_for: waits.map((wait) => waitBody(wait, row)),
  };
}

function waitBody(wait: Wait, row: ExplainedRow['row']): Static<typeof WaitSchema> {
  const { reason, detail, until, behind } = wait;
  return {
    reason,
    detail,
    until: timeOrNull(until),
    behind: behind === null ? null : blockingBody(behind),
    what_to_do: whatToDo(wait, row),
  };
}

function blockingBody({ id, eventId, sequence, status, lastError }: BlockingRow) {
  return { outbox_id: id, event_id: eventId, sequence, status, last_error: lastError };
}

export function publicationBody(publication: SessionPublication): Static<typeof SessionPublicationSchema> {
  const { sessionId, hold, waiting, complete, lastSettled } = publication;
  return {
    session_id: sessionId,
    explanation: explainSession(waiting[0]),
    waiting: waiting.length,
    complete,
    on_hold_since: timeOrNull(hold?.since ?? null),
    rows: waiting.slice(0, SHOWN).map(rowBody),
    last_settled: lastSettled === null ? null : rowBody({ row: lastSettled, waits: [] }),
  };
}

export function previewBody(action: RowAction, preview: Preview): Static<typeof PreviewSchema> {
  const { count, complete, token, sample } = preview;
  return { action, count, complete, token, sample: sample.map(rowBody) };
}

export function resultBody(action: RowAction, callId: string, result: ActionResult): Static<typeof RowActionSchema> {
  const { affected, skipped, skippedIds, complete, interrupted } = result;
  return { call_id: callId, action, affected, skipped, skipped_ids: [...skippedIds], complete, interrupted };
}

export function pauseBody(callId: string, { changed, unchanged }: PauseResult): Static<typeof PauseSchema> {
  return { call_id: callId, changed: [...changed], unchanged: [...unchanged] };
}

export function shardsBody(relays: RelayFacts, backlogs: Backlogs): Static<typeof ShardTableSchema> {
  const shards = relays.shards.map((facts) => ({
    shard: facts.shard,
    state: facts.state,
    owner: facts.owner === null ? null : { member: facts.owner.id, name: facts.owner.name },
    lease_expires_in: facts.leaseExpiresIn === null ? null : seconds(facts.leaseExpiresIn),
    epoch: facts.epoch,
    paused: facts.paused,
    floor: facts.floor,
    position: facts.position,
    last_progress_at: timeOrNull(facts.lastProgressAt),
    last_error: facts.lastError,
    topic_ahead_at: facts.topicAheadAt,
    backlog: backlogBody(backlogs.shards.get(facts.shard) ?? NOTHING),
  }));
  return { topic_ahead: relays.topicAhead, shards, relays: relays.members.map(relayBody) };
}

function relayBody({ id, joinedAt, expiresIn, ...member }: MemberFacts): Static<typeof RelaySchema> {
  const { name, delivery, shards } = member;
  const alive = expiresIn > 0;
  return {
    member: id,
    name,
    delivery,
    alive,
    joined_at: time(joinedAt),
    expires_in: seconds(expiresIn),
    shards: [...shards],
  };
}

export function actionBody(action: OperatorAction): Static<typeof OperatorActionSchema> {
  const { id, at, callId, actor, via, filter, reason, eventIds, shards } = action;
  return {
    action_id: id,
    at: time(at),
    call_id: callId,
    actor,
    via,
    action: action.action,
    filter,
    reason,
    affected: eventIds.length + shards.length,
    event_ids: [...eventIds],
    shards: [...shards],
  };
}

function time(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

function timeOrNull(milliseconds: number | null): string | null {
  return milliseconds === null ? null : time(milliseconds);
}

/** To the millisecond: what comes behind is of the floating point. */
function seconds(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
