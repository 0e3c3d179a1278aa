import type { EventRecord } from '../genesis/events.ts';
import { AGGREGATE_TYPE } from '../genesis/events.ts';
import { encodeEnvelope } from '../outbox/envelope.ts';

/** An event as its record's value tells it: everything but the event before. */
export type DecodedEvent = Omit<EventRecord, 'previous'>;

/**
 * The inverse of `encodeEnvelope`: payload and metadata are cut out of the value, never written anew, so that the event's record
 * would have the same bytes again. Null: this is no value that `encodeEnvelope` has made.
 */
export function decodeEnvelope(value: string): DecodedEvent | null {
  const head = parse(value);
  if (head === null || head['aggregate_type'] !== AGGREGATE_TYPE) return null;
  const parts = cut(value);
  if (parts === null) return null;
  const event = {
    eventId: head['event_id'],
    eventType: head['event_type'],
    eventVersion: head['event_version'],
    aggregateId: head['aggregate_id'],
    aggregateVersion: head['aggregate_version'],
    correlationId: head['correlation_id'],
    causationId: head['causation_id'],
    occurredAt: Date.parse(String(head['occurred_at'])),
    ...parts,
    // What is of another type, or not where it belongs, does not survive the comparison.
  } as DecodedEvent;
  return Number.isNaN(event.occurredAt) || encodeEnvelope({ ...event, previous: null }) !== value ? null : event;
}

function parse(value: string): Readonly<Record<string, unknown>> | null {
  try {
    const parsed: unknown = JSON.parse(value);
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : null;
  } catch {
    return null;
  }
}

const PAYLOAD = '"payload":';
const METADATA = ',"metadata":';

/** The texts of payload and metadata. `value` is valid JSON. */
function cut(value: string): { readonly payload: string; readonly metadata: string } | null {
  // Nothing before it holds a quotation mark within a text: ids, names and a time.
  const from = value.indexOf(PAYLOAD) + PAYLOAD.length;
  if (from < PAYLOAD.length || value[from] !== '{') return null;
  const to = endOfObject(value, from);
  if (!value.startsWith(METADATA, to)) return null;
  return { payload: value.slice(from, to), metadata: value.slice(to + METADATA.length, -1) };
}

/** Behind the brace that closes the one at `from`. */
function endOfObject(json: string, from: number): number {
  let [depth, inText] = [0, false];
  for (let at = from; at < json.length; at += 1) {
    const character = json[at];
    if (inText) {
      if (character === '\\') at += 1;
      else if (character === '"') inText = false;
    } else if (character === '"') inText = true;
    else if (character === '{') depth += 1;
    else if (character === '}') depth -= 1;
    if (depth === 0) return at + 1;
  }
  return json.length;
}
