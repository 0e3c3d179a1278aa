import type { EventPayloads, RecordedEvent } from './events.ts';
import type { Session } from './session.ts';

/**
 * The session after one more event. Pure: the same events always give the same session.
 *
 * @param session The session so far; null before its first event.
 * @throws Error if the event cannot follow: a defect or a damaged history, never a user's mistake.
 */
export function evolve(session: Session | null, recorded: RecordedEvent): Session {
  const expected = (session?.version ?? 0) + 1;
  if (recorded.version !== expected) {
    throw new Error(`session ${recorded.sessionId}: version ${recorded.version} cannot follow ${expected - 1}`);
  }
  if (session === null) return create(recorded);
  return { ...session, ...changes(session, recorded), ...placeOf(recorded) };
}

function create(recorded: RecordedEvent): Session {
  const { event } = recorded;
  if (event.type !== 'Genesis.Session.Created') {
    throw new Error(`session ${recorded.sessionId}: ${event.type} cannot be its first event`);
  }
  return {
    sessionId: recorded.sessionId,
    userId: recorded.userId,
    status: 'IN_PROGRESS',
    currentStage: 'CONCEPT_SELECTION',
    title: event.payload.title,
    idea: event.payload.idea,
    confirmedData: {},
    outstandingRequest: null,
    createdAt: recorded.occurredAt,
    ...placeOf(recorded),
  };
}

function placeOf(recorded: RecordedEvent): Pick<Session, 'version' | 'lastEventId' | 'updatedAt'> {
  return { version: recorded.version, lastEventId: recorded.eventId, updatedAt: recorded.occurredAt };
}

function changes(session: Session, { event, eventId }: RecordedEvent): Partial<Session> {
  switch (event.type) {
    case 'Genesis.Session.Created':
      throw new Error(`session ${session.sessionId}: created twice`);
    case 'Genesis.Session.Requested':
      return { outstandingRequest: { requestId: event.payload.request_id, eventId } };
    case 'Genesis.Session.Proposed':
    case 'Genesis.Session.Failed':
      return { outstandingRequest: null };
    case 'Genesis.Session.Submitted':
      return {};
    case 'Genesis.Session.Confirmed':
      return {
        currentStage: event.payload.next_stage,
        confirmedData: { ...session.confirmedData, [event.payload.stage]: event.payload.data },
      };
    case 'Genesis.Session.Finished':
      return { status: event.payload.status };
    case 'Genesis.Session.Updated':
      return update(event.payload);
  }
}

function update({ title, idea, status }: EventPayloads['Genesis.Session.Updated']): Partial<Session> {
  return {
    ...(title === undefined ? {} : { title }),
    ...(idea === undefined ? {} : { idea }),
    ...(status === undefined ? {} : { status }),
  };
}
