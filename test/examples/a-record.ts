import type { IncomingRecord } from '../../examples/concept-agent/read-record.ts';

export const EVENT_ID = '01890a5d-ac96-774b-bcce-b302099a8001';
export const SESSION_ID = '01890a5d-ac96-774b-bcce-b302099a8002';
export const REQUEST_ID = '01890a5d-ac96-774b-bcce-b302099a8003';

/** The envelope of a request for concepts, as it is on the topic. */
export const ENVELOPE = {
  event_id: EVENT_ID,
  event_type: 'Genesis.Session.Requested',
  event_version: 1,
  aggregate_type: 'GENESIS_SESSION',
  aggregate_id: SESSION_ID,
  aggregate_version: 2,
  correlation_id: REQUEST_ID,
  causation_id: REQUEST_ID,
  occurred_at: '2026-11-23T06:00:00.000Z',
  payload: {
    request_id: REQUEST_ID,
    stage: 'CONCEPT_SELECTION',
    theme_preferences: ['科幻', '悬疑'],
    style_preferences: ['快节奏'],
  },
  metadata: { user_id: 'ada', source_service: 'genesis-api' },
};

export const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

/** A record with this envelope, text or bytes as its value. */
export function aRecord(value: object | string | Buffer | undefined = ENVELOPE, headers: object = {}): IncomingRecord {
  return {
    topic: 'domain-events',
    partition: 3,
    offset: 17n,
    key: Buffer.from(SESSION_ID),
    value: bytesOf(value),
    headers: new Map(Object.entries({ previous: 'the-event-before', traceparent: TRACEPARENT, ...headers })),
  };
}

function bytesOf(value: object | string | Buffer | undefined): Buffer | undefined {
  if (value === undefined || Buffer.isBuffer(value)) return value;
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
}
