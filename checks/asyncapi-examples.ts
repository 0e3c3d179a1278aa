import type { EventType } from '../src/genesis/event-schemas.ts';
import type { EventRecord } from '../src/genesis/events.ts';
import type { CommandId, EventId, SessionId } from '../src/genesis/ids.ts';
import { encodeEnvelope, recordHeaders } from '../src/outbox/envelope.ts';

const REQUEST = '01890a5d-ac96-774b-bcce-b302099a8058' as CommandId;
const BEFORE = '01890a5d-ac96-774b-bcce-b30209900001' as EventId;

/** One payload of every version of every event, by `<event_type>/<event_version>`. */
const PAYLOADS: Readonly<Record<string, object>> = {
  'Genesis.Session.Created/1': { title: '星海', idea: null },
  'Genesis.Session.Requested/1': {
    request_id: REQUEST,
    stage: 'CONCEPT_SELECTION',
    theme_preferences: ['科幻', '悬疑'],
    style_preferences: ['快节奏'],
  },
  'Genesis.Session.Proposed/1': {
    request_id: REQUEST,
    concepts: [{ title: '星海', summary: 'A generation ship that has forgotten it is one', themes: ['科幻'] }],
  },
  'Genesis.Session.Failed/1': { request_id: REQUEST, reason: 'GENERATION_FAILED' },
  'Genesis.Session.Submitted/1': { stage: 'WORLDVIEW', feedback: 'Darker, please', target: null },
  'Genesis.Session.Confirmed/1': {
    stage: 'CONCEPT_SELECTION',
    next_stage: 'STORY_CONCEPTION',
    data: { concept: '星海' },
  },
  'Genesis.Session.Finished/1': { status: 'COMPLETED' },
  'Genesis.Session.Updated/1': { title: '星海无声' },
};

/** A record as it is on the topic, made by what makes them all. */
export interface RecordExample {
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: unknown;
}

/** @throws Error when nobody has written an example */
export function recordExample(eventType: EventType, eventVersion: number): RecordExample {
  const payload = PAYLOADS[`${eventType}/${eventVersion}`];
  if (payload === undefined)
    throw new Error(`no example of ${eventType}/${eventVersion} in checks/asyncapi-examples.ts`);
  const first = eventType === 'Genesis.Session.Created';
  const event: EventRecord = {
    eventId: '01890a5d-ac96-774b-bcce-b302099a8059' as EventId,
    eventType,
    eventVersion,
    aggregateId: '01890a5d-ac96-774b-bcce-b302099a8057' as SessionId,
    aggregateVersion: first ? 1 : 2,
    payload: JSON.stringify(payload),
    metadata: JSON.stringify({ user_id: 'ada', source_service: 'genesis-api' }),
    correlationId: REQUEST,
    causationId: REQUEST,
    previous: first ? null : BEFORE,
    occurredAt: Date.UTC(2026, 10, 23, 5, 41, 0, 456),
  };
  const headers = recordHeaders(event, '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01');
  return { headers, payload: JSON.parse(encodeEnvelope(event)) as unknown };
}
