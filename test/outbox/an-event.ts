import type { EventRecord } from '../../src/genesis/events.ts';
import type { CommandId, EventId, SessionId } from '../../src/genesis/ids.ts';

/** The second event of a session; change what the test is about. */
export function anEvent(members: Partial<EventRecord> = {}): EventRecord {
  return {
    eventId: '01900000-0000-7000-8000-00000000e002' as EventId,
    eventType: 'Genesis.Session.Proposed',
    eventVersion: 1,
    aggregateId: '018f3a5c-7b1e-7c3d-9f21-3a4b5c6d7e8f' as SessionId,
    aggregateVersion: 2,
    payload: '{"a":1}',
    metadata: '{"user_id":"u","source_service":"genesis-api"}',
    correlationId: '01900000-0000-7000-8000-00000000c001' as CommandId,
    causationId: '01900000-0000-7000-8000-00000000e001' as EventId,
    previous: '01900000-0000-7000-8000-00000000e001' as EventId,
    occurredAt: Date.UTC(2026, 10, 23, 5, 32, 1, 7),
    ...members,
  };
}

/** The first event of a session. */
export function aFirstEvent(members: Partial<EventRecord> = {}): EventRecord {
  return anEvent({ eventType: 'Genesis.Session.Created', aggregateVersion: 1, previous: null, ...members });
}
