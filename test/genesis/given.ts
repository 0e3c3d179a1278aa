import { expect } from 'vitest';
import type { Command, CommandPayload } from '../../src/genesis/commands.ts';
import {
  decide,
  type Acceptance,
  type CausedEvent,
  type Decision,
  type Refusal,
  type RequestEnd,
  type SessionCommand,
} from '../../src/genesis/decide.ts';
import type { DomainEvent, EventPayloads, EventType, RecordedEvent } from '../../src/genesis/events.ts';
import { evolve } from '../../src/genesis/evolve.ts';
import type { CommandId, EventId, SessionId, UserId } from '../../src/genesis/ids.ts';
import { STAGES, stageAfter, type Session, type Stage } from '../../src/genesis/session.ts';

export const SESSION = '01900000-0000-7000-8000-000000000000' as SessionId;
export const AUTHOR = 'author-1' as UserId;
/** The command that `when` judges. */
export const COMMAND = commandId(99);
/** The request of `requested()`. */
export const REQUEST = commandId(7);

/** The id of the event with this version. */
export function eventId(version: number): EventId {
  return `01900000-0000-7000-8000-00000000e${String(version).padStart(3, '0')}` as EventId;
}

export function commandId(number: number): CommandId {
  return `01900000-0000-7000-8000-00000000c${String(number).padStart(3, '0')}` as CommandId;
}

/** Events as they would be recorded: versions from 1 on, one second apart. */
export function recorded(...history: readonly DomainEvent[]): readonly RecordedEvent[] {
  return history.map((event, index) => ({
    event,
    eventId: eventId(index + 1),
    sessionId: SESSION,
    version: index + 1,
    userId: AUTHOR,
    occurredAt: (index + 1) * 1_000,
  }));
}

/** The session that these events make. */
export function sessionAfter(...history: readonly DomainEvent[]): Session {
  const session = recorded(...history).reduce<Session | null>(evolve, null);
  if (session === null) throw new Error('a session begins with an event');
  return session;
}

/** given(history).when(command).causes([events]) or .isRefused(refusal). */
export function given(...history: readonly DomainEvent[]): { when(command: SessionCommand): Verdict } {
  const session = sessionAfter(...history);
  return {
    when(command) {
      const before = structuredClone(session);
      const decision = decide(command, session, COMMAND);
      expect(session, 'decide leaves the session as it is').toEqual(before);
      return verdict(decision);
    },
  };
}

interface Verdict {
  readonly decision: Decision;
  /** Exactly these events, and by default COMPLETED without ending a request. */
  causes(events: readonly CausedEvent[], besides?: Partial<Pick<Acceptance, 'status' | 'ends'>>): void;
  isRefused(refusal: Refusal): void;
}

function verdict(decision: Decision): Verdict {
  return {
    decision,
    causes(events, besides) {
      expect(decision).toStrictEqual({ kind: 'accepted', events, status: 'COMPLETED', ends: null, ...besides });
    },
    isRefused(refusal) {
      expect(decision).toStrictEqual({ kind: 'refused', refusal });
    },
  };
}

export function byTheCommand(event: DomainEvent): CausedEvent {
  return { event, answers: null, causedBy: null };
}

export function byTheEventBefore(event: DomainEvent): CausedEvent {
  return { event, answers: null, causedBy: 'previous' };
}

/** What answers REQUEST, whose event has the version `askedBy`. */
export function answering(event: DomainEvent, askedBy: number): CausedEvent {
  return { event, answers: REQUEST, causedBy: eventId(askedBy) };
}

export function completed(requestId: CommandId): RequestEnd {
  return { requestId, failedBecause: null };
}

export function failed(requestId: CommandId, failedBecause: string): RequestEnd {
  return { requestId, failedBecause };
}

// What happened.

export function happened<T extends EventType>(type: T, payload: EventPayloads[T]): DomainEvent {
  return { type, payload } as DomainEvent;
}

export function created(payload: Partial<EventPayloads['Genesis.Session.Created']> = {}): DomainEvent {
  return happened('Genesis.Session.Created', { title: null, idea: null, ...payload });
}

export function requested(request_id: CommandId = REQUEST): DomainEvent {
  return happened('Genesis.Session.Requested', {
    request_id,
    stage: 'CONCEPT_SELECTION',
    theme_preferences: ['科幻'],
    style_preferences: ['快节奏'],
  });
}

const CONCEPTS = [{ title: '星海', summary: '一艘船' }];

export function proposed(request_id: CommandId = REQUEST): DomainEvent {
  return happened('Genesis.Session.Proposed', { request_id, concepts: CONCEPTS });
}

export function requestFailed(reason: string, request_id: CommandId = REQUEST): DomainEvent {
  return happened('Genesis.Session.Failed', { request_id, reason });
}

export function confirmed(stage: Stage, data: EventPayloads['Genesis.Session.Confirmed']['data'] = {}): DomainEvent {
  return happened('Genesis.Session.Confirmed', { stage, next_stage: stageAfter(stage), data });
}

export function finished(): DomainEvent {
  return happened('Genesis.Session.Finished', { status: 'COMPLETED' });
}

export function abandoned(): DomainEvent {
  return happened('Genesis.Session.Updated', { status: 'ABANDONED' });
}

/** Created, and every stage before `stage` confirmed. */
export function reached(stage: Stage): readonly DomainEvent[] {
  return [created(), ...STAGES.slice(0, STAGES.indexOf(stage)).map((before) => confirmed(before))];
}

/** Created, every stage confirmed, finished. */
export function completedSession(): readonly DomainEvent[] {
  return [created(), ...STAGES.map((stage) => confirmed(stage)), finished()];
}

// What somebody asks.

export function requestConcepts(): Extract<Command, { type: 'RequestConceptGeneration' }> {
  return {
    type: 'RequestConceptGeneration',
    payload: { theme_preferences: ['科幻'], style_preferences: ['快节奏'] },
  };
}

export function proposeConcepts(request_id: string = REQUEST): SessionCommand {
  return { type: 'ProposeConcepts', payload: { request_id, concepts: CONCEPTS } };
}

export function failGeneration(reason: string, request_id: string = REQUEST): SessionCommand {
  return { type: 'FailConceptGeneration', payload: { request_id, reason } };
}

export function submitFeedback(feedback = 'darker', target?: string): SessionCommand {
  return { type: 'SubmitFeedback', payload: { feedback, ...(target === undefined ? {} : { target }) } };
}

export function confirmStage(stage: Stage, data?: CommandPayload<'ConfirmStage'>['data']): SessionCommand {
  return { type: 'ConfirmStage', payload: { stage, ...(data === undefined ? {} : { data }) } };
}

export function updateSession(payload: CommandPayload<'UpdateSession'> = { title: 'New' }): SessionCommand {
  return { type: 'UpdateSession', payload };
}

export function abandonSession(reason?: string): SessionCommand {
  return { type: 'AbandonSession', payload: reason === undefined ? {} : { reason } };
}
