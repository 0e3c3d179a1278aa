import type { Command, CommandPayload } from './commands.ts';
import type { DomainEvent, EventPayloads, EventType } from './events.ts';
import type { CommandId, EventId } from './ids.ts';
import { stageAfter, type JsonObject, type Session, type Stage } from './session.ts';

/** An event that a command causes, before it has an id and a version. */
export interface CausedEvent {
  readonly event: DomainEvent;
  /** The request that this event answers; its correlation_id. Null: the command itself. */
  readonly answers: CommandId | null;
  /**
   * The event that caused it: an earlier one of the session by its id, or `previous` for the one just before it in the same
   * decision. Null: the command itself.
   */
  readonly causedBy: EventId | 'previous' | null;
}

/** How a request that was PROCESSING ends. */
export interface RequestEnd {
  readonly requestId: CommandId;
  /** Null: COMPLETED; else FAILED for this reason. */
  readonly failedBecause: string | null;
}

export interface Acceptance {
  readonly kind: 'accepted';
  /** At least one, in the order they happened. */
  readonly events: readonly [CausedEvent, ...CausedEvent[]];
  /** PROCESSING: the result comes with a later event. */
  readonly status: 'COMPLETED' | 'PROCESSING';
  readonly ends: RequestEnd | null;
}

/** Why the state of the session forbids the command. */
export type Refusal =
  /** The session waits for the answer to a request; one at a time. */
  | { readonly code: 'DUPLICATE_COMMAND'; readonly duplicateCommandId: CommandId }
  | { readonly code: 'STAGE_MISMATCH'; readonly currentStage: Session['currentStage'] }
  | { readonly code: 'SESSION_CLOSED'; readonly status: Session['status'] }
  | { readonly code: 'NOTHING_TO_ANSWER'; readonly outstandingRequestId: CommandId | null };

export type Decision = Acceptance | { readonly kind: 'refused'; readonly refusal: Refusal };

/** A command for a session that exists. */
export type SessionCommand = Exclude<Command, { type: 'CreateSession' }>;

/** The reason of a request that ended because its stage was confirmed or the session abandoned. */
export const SUPERSEDED = 'SUPERSEDED';

/** What creating a session brings about. Always allowed. */
export function decideCreation(payload: CommandPayload<'CreateSession'>): Acceptance {
  return accepted([caused('Genesis.Session.Created', { title: payload.title ?? null, idea: payload.idea ?? null })]);
}

/**
 * Judges a command by the state of its session: the events that it causes, or why it is refused. Pure.
 * That an unfinished twin of any command refuses it is judged by whoever knows the inbox, before.
 *
 * @param commandId The command's id; the request_id, should it be a request.
 */
export function decide(command: SessionCommand, session: Session, commandId: CommandId): Decision {
  if (session.status !== 'IN_PROGRESS') {
    return refused({ code: 'SESSION_CLOSED', status: session.status });
  }
  switch (command.type) {
    case 'RequestConceptGeneration':
      return requestConcepts(command.payload, session, commandId);
    case 'ProposeConcepts':
      return answerRequest(command.payload.request_id, session, null, (request_id) =>
        named('Genesis.Session.Proposed', { request_id, concepts: command.payload.concepts }),
      );
    case 'FailConceptGeneration':
      return answerRequest(command.payload.request_id, session, command.payload.reason, (request_id) =>
        named('Genesis.Session.Failed', { request_id, reason: command.payload.reason }),
      );
    case 'SubmitFeedback':
      return submitFeedback(command.payload, session);
    case 'ConfirmStage':
      return confirmStage(command.payload, session);
    case 'UpdateSession':
      return accepted([caused('Genesis.Session.Updated', command.payload)]);
    case 'AbandonSession':
      return abandon(command.payload, session);
  }
}

function requestConcepts(
  payload: CommandPayload<'RequestConceptGeneration'>,
  session: Session,
  commandId: CommandId,
): Decision {
  if (session.currentStage !== 'CONCEPT_SELECTION') {
    return refused({ code: 'STAGE_MISMATCH', currentStage: session.currentStage });
  }
  if (session.outstandingRequest !== null) {
    return refused({ code: 'DUPLICATE_COMMAND', duplicateCommandId: session.outstandingRequest.requestId });
  }
  const event = caused('Genesis.Session.Requested', {
    request_id: commandId,
    stage: session.currentStage,
    theme_preferences: payload.theme_preferences,
    style_preferences: payload.style_preferences,
  });
  return { ...accepted([event]), status: 'PROCESSING' };
}

function answerRequest(
  requestId: string,
  session: Session,
  failedBecause: string | null,
  eventFor: (requestId: CommandId) => DomainEvent,
): Decision {
  const outstanding = session.outstandingRequest;
  if (outstanding === null || outstanding.requestId !== requestId.toLowerCase()) {
    return refused({ code: 'NOTHING_TO_ANSWER', outstandingRequestId: outstanding?.requestId ?? null });
  }
  return endRequest(outstanding, failedBecause, eventFor(outstanding.requestId), []);
}

function submitFeedback(payload: CommandPayload<'SubmitFeedback'>, session: Session): Decision {
  return accepted([
    caused('Genesis.Session.Submitted', {
      stage: session.currentStage,
      feedback: payload.feedback,
      target: payload.target ?? null,
    }),
  ]);
}

function confirmStage(payload: CommandPayload<'ConfirmStage'>, session: Session): Decision {
  const stage: Stage = payload.stage;
  if (stage !== session.currentStage) {
    return refused({ code: 'STAGE_MISMATCH', currentStage: session.currentStage });
  }
  const next = stageAfter(stage);
  const confirmed = caused('Genesis.Session.Confirmed', {
    stage,
    next_stage: next,
    // The schema admits any JSON object; what was parsed from JSON holds nothing else.
    data: (payload.data ?? {}) as JsonObject,
  });
  const finished: readonly CausedEvent[] =
    next === 'FINISHED'
      ? [{ ...caused('Genesis.Session.Finished', { status: 'COMPLETED' }), causedBy: 'previous' }]
      : [];
  return supersede(session, [confirmed, ...finished]);
}

function abandon(payload: CommandPayload<'AbandonSession'>, session: Session): Decision {
  const reason = payload.reason === undefined ? {} : { reason: payload.reason };
  return supersede(session, [caused('Genesis.Session.Updated', { status: 'ABANDONED', ...reason })]);
}

/** Ends the outstanding request, if there is one, before `events`: nobody waits for an answer that can no longer come. */
function supersede(session: Session, events: readonly [CausedEvent, ...CausedEvent[]]): Acceptance {
  const outstanding = session.outstandingRequest;
  if (outstanding === null) return accepted(events);
  const failed = named('Genesis.Session.Failed', { request_id: outstanding.requestId, reason: SUPERSEDED });
  return endRequest(outstanding, SUPERSEDED, failed, events);
}

function endRequest(
  outstanding: NonNullable<Session['outstandingRequest']>,
  failedBecause: string | null,
  event: DomainEvent,
  further: readonly CausedEvent[],
): Acceptance {
  const answer: CausedEvent = { event, answers: outstanding.requestId, causedBy: outstanding.eventId };
  return { ...accepted([answer, ...further]), ends: { requestId: outstanding.requestId, failedBecause } };
}

/** Pairs a type with its payload so that the compiler checks one against the other. */
function named<T extends EventType>(type: T, payload: EventPayloads[T]): DomainEvent {
  return { type, payload } as DomainEvent;
}

function caused<T extends EventType>(type: T, payload: EventPayloads[T]): CausedEvent {
  return { event: named(type, payload), answers: null, causedBy: null };
}

function accepted(events: readonly [CausedEvent, ...CausedEvent[]]): Acceptance {
  return { kind: 'accepted', events, status: 'COMPLETED', ends: null };
}

function refused(refusal: Refusal): Decision {
  return { kind: 'refused', refusal };
}
