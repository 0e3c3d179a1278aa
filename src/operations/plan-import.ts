import type { EventRecord } from '../genesis/events.ts';
import type { EventId, SessionId } from '../genesis/ids.ts';
import { recordHeaders } from '../outbox/envelope.ts';
import { decodeEnvelope } from './decode-envelope.ts';
import type { FoundEvent, ImportFacts, ImportStep, MissingEvent, Place, TopicRecord } from './ports.ts';
import { identify, type RecordIdentity } from './read-record.ts';
import type { RecoverProblem, RecoverProblemCode } from './recover-problems.ts';
import { recoveredCommands, recoveredEnds } from './recovered-commands.ts';

/** A record with the event that it says it is. */
export interface IdentifiedRecord extends RecordIdentity {
  readonly record: TopicRecord;
}

/** Null: the record is none of an event. */
export function identified(record: TopicRecord): IdentifiedRecord | null {
  const identity = identify(record);
  return identity === null ? null : { ...identity, record };
}

/** The last event of a session. */
interface Head {
  readonly sequence: number;
  readonly eventId: string | null;
}

/** Sessions of which nothing more can be imported; kept from step to step. */
export class BlockedSessions {
  readonly #sessions = new Set<SessionId>();
  readonly #tell: (problem: RecoverProblem) => void;

  constructor(tell: (problem: RecoverProblem) => void) {
    this.#tell = tell;
  }

  has(sessionId: SessionId): boolean {
    return this.#sessions.has(sessionId);
  }

  block(code: RecoverProblemCode, { sessionId, sequence, eventId, record }: IdentifiedRecord): void {
    this.#sessions.add(sessionId);
    const { partition, offset } = record;
    this.#tell({ code, sessionId, sequence, eventId, partition, offset });
  }
}

/**
 * What is to be written for some records of one partition, given in their order, by what the database knows of their places and
 * sessions. Pure, but for the sessions that it blocks and the heads that it plans.
 *
 * @param planned The last events of sessions as they would be after earlier steps that nobody wrote; those of this step are added.
 */
export function planImport(
  records: readonly IdentifiedRecord[],
  facts: ImportFacts,
  blocked: BlockedSessions,
  planned: Map<SessionId, Head> = new Map(),
): ImportStep {
  const known = new Map(facts.known.map((place) => [nameOf(place), place.eventId]));
  const heads = new Map<SessionId, Head>(facts.heads.map((head) => [head.sessionId, head]));
  const missing: MissingEvent[] = [];
  const found = new Map<string, FoundEvent>();
  for (const record of records) {
    const { sessionId, sequence, eventId } = record;
    const name = nameOf(record);
    const there = known.get(name) ?? null;
    if (there === eventId) {
      found.set(name, found.get(name) ?? toFound(record));
      continue;
    }
    const judged = blocked.has(sessionId) ? null : judge(record, there, planned.get(sessionId) ?? heads.get(sessionId));
    if (typeof judged === 'string') blocked.block(judged, record);
    else if (judged !== null) {
      missing.push(judged);
      planned.set(sessionId, { sequence, eventId });
    }
  }
  return stepOf(missing, [...found.values()]);
}

function stepOf(missing: readonly MissingEvent[], found: readonly FoundEvent[]): ImportStep {
  const events = missing.map(({ event }) => event);
  return { missing, found, commands: recoveredCommands(events), ends: recoveredEnds(events) };
}

/**
 * The event of a record that is not in the database, or why it cannot be imported; null: this step, or one before it that nobody
 * wrote, has it already.
 */
function judge(
  identity: IdentifiedRecord,
  there: string | null,
  head: Head = { sequence: 0, eventId: null },
): MissingEvent | RecoverProblemCode | null {
  const { record, marker, sequence, previous } = identity;
  if (there !== null) return 'CONFLICT';
  if (sequence <= head.sequence) return null;
  if (marker) return 'MARKER';
  const event = decode(identity);
  if (event === null) return 'UNREADABLE';
  if (sequence !== head.sequence + 1) return 'GAP';
  if (previous !== head.eventId) return 'CONFLICT';
  const { partition, offset, timestamp: sentAt } = record;
  const { traceparent = null } = JSON.parse(event.metadata) as { readonly traceparent?: string };
  return { event, partition, offset, sentAt, headers: recordHeaders(event, traceparent) };
}

/** Null if the value is not the one of the event that key and headers name. */
function decode({ record, sessionId, sequence, eventId, previous }: IdentifiedRecord): EventRecord | null {
  const event = record.value === null ? null : decodeEnvelope(record.value);
  if (event === null || event.aggregateId !== sessionId || event.aggregateVersion !== sequence) return null;
  return event.eventId === eventId ? { ...event, previous: previous as EventId | null } : null;
}

function toFound({ record, sessionId, sequence, marker }: IdentifiedRecord): FoundEvent {
  const { partition, offset, timestamp: sentAt } = record;
  return { sessionId, sequence, partition, offset, sentAt, marker };
}

function nameOf({ sessionId, sequence }: Place): string {
  return `${sessionId} ${sequence}`;
}
