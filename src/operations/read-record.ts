import type { SessionId } from '../genesis/ids.ts';
import type { TopicRecord } from './ports.ts';

/** Which event a record says it is, by its key and headers alone. */
export interface RecordIdentity {
  readonly sessionId: SessionId;
  /** aggregate_version: the header `sequence`. */
  readonly sequence: number;
  /** The header `ce_id`. */
  readonly eventId: string;
  /** The header `previous`; null for a session's first event. */
  readonly previous: string | null;
  /** It stands in the place of an event that operators have discarded. */
  readonly marker: boolean;
}

const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/u;
/** Largest sequence: an integer of the database. */
const MOST = 2_147_483_647;

/** Null: this is no record of an event. */
export function identify({ key, value, headers }: TopicRecord): RecordIdentity | null {
  const eventId = headers.get('ce_id');
  const previous = headers.get('previous') ?? null;
  const sequence = sequenceOf(headers.get('sequence'));
  if (!isUuid(key) || !isUuid(eventId) || sequence === null || (previous !== null && !isUuid(previous))) return null;
  const marker = value === null && headers.get('discarded') === 'true';
  return { sessionId: key as SessionId, sequence, eventId, previous, marker };
}

function isUuid(text: string | null | undefined): text is string {
  return text !== null && text !== undefined && UUID.test(text);
}

function sequenceOf(text = ''): number | null {
  return /^[1-9]\d{0,9}$/u.test(text) && Number(text) <= MOST ? Number(text) : null;
}
