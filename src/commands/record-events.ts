import type { Acceptance, CausedEvent } from '../genesis/decide.ts';
import { evolve } from '../genesis/evolve.ts';
import { EVENT_VERSIONS, type EventRecord } from '../genesis/events.ts';
import type { CommandId, EventId } from '../genesis/ids.ts';
import type { Session } from '../genesis/session.ts';
import type { CommandRequest } from './ports.ts';

/** `source_service` in the metadata of every event that a command causes. */
const SOURCE_SERVICE = 'genesis-api';

export interface RecordedDecision {
  readonly session: Session;
  readonly events: readonly EventRecord[];
}

/**
 * Gives the events of an accepted command their ids and versions, encodes them once and folds them into the session.
 *
 * @param session The session before; null for CreateSession.
 * @param now The database's clock. A session's times never run backwards, even if that clock does.
 */
export function recordEvents(
  request: CommandRequest,
  acceptance: Acceptance,
  session: Session | null,
  now: number,
  newId: () => string,
): RecordedDecision {
  const occurredAt = Math.max(now, session?.updatedAt ?? now);
  const metadata = encodeMetadata(request);
  const events: EventRecord[] = [];
  let current = session;
  for (const caused of acceptance.events) {
    const record = toRecord(caused, { request, previous: current, metadata, occurredAt, newId });
    current = evolve(current, {
      event: caused.event,
      eventId: record.eventId,
      sessionId: record.aggregateId,
      version: record.aggregateVersion,
      userId: request.actor.userId,
      occurredAt,
    });
    events.push(record);
  }
  if (current === null) throw new Error('an accepted command causes at least one event');
  return { session: current, events };
}

interface Context {
  readonly request: CommandRequest;
  readonly previous: Session | null;
  readonly metadata: string;
  readonly occurredAt: number;
  readonly newId: () => string;
}

function toRecord(caused: CausedEvent, { request, previous, metadata, occurredAt, newId }: Context): EventRecord {
  const previousEvent = previous?.lastEventId ?? null;
  return {
    eventId: newId() as EventId,
    eventType: caused.event.type,
    eventVersion: EVENT_VERSIONS[caused.event.type],
    aggregateId: request.sessionId,
    aggregateVersion: (previous?.version ?? 0) + 1,
    payload: JSON.stringify(caused.event.payload),
    metadata,
    correlationId: caused.answers ?? request.commandId,
    causationId: causeOf(caused, previousEvent, request.commandId),
    previous: previousEvent,
    occurredAt,
  };
}

function causeOf(caused: CausedEvent, previous: EventId | null, commandId: CommandId): EventId | CommandId {
  const cause = caused.causedBy === 'previous' ? previous : caused.causedBy;
  return cause ?? commandId;
}

function encodeMetadata({ actor, traceparent }: CommandRequest): string {
  return JSON.stringify({
    user_id: actor.userId,
    source_service: SOURCE_SERVICE,
    ...(traceparent === null ? {} : { traceparent }),
  });
}
