/** A record as it comes from Kafka: nothing about it is known to be true yet. */
export interface IncomingRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  /** Undefined where the record has none. */
  readonly key?: Buffer | undefined;
  readonly value?: Buffer | undefined;
  readonly headers: ReadonlyMap<string, string>;
}

/** Any event of a session: as much as a consumer needs to recognise it and to put it into its place. */
export interface SessionEvent {
  readonly eventId: string;
  readonly eventType: string;
  readonly eventVersion: number;
  readonly sessionId: string;
  /** 1, 2, 3 … without a gap, per session: the header `sequence`. */
  readonly sequence: number;
  /** The session's event before, null for its first: the header `previous`. */
  readonly previous: string | null;
  /** W3C trace context of the command that caused it. */
  readonly traceparent: string | null;
  /** Null for an event that operators have discarded: it holds its place and says nothing. */
  readonly payload: Readonly<Record<string, unknown>> | null;
}

/** An author who waits for concepts. */
export interface ConceptRequest {
  readonly eventId: string;
  readonly sessionId: string;
  readonly requestId: string;
  readonly themes: readonly string[];
  readonly styles: readonly string[];
  readonly traceparent: string | null;
}

/** The record will never make sense, however often it is read. */
export class PoisonError extends Error {
  override readonly name = 'PoisonError';
}

const REQUESTED = 'Genesis.Session.Requested';
/** The versions of that event which this agent understands. An event only gains members within a version. */
const REQUESTED_VERSION = 1;

/** @throws PoisonError */
export function readEvent({ key, value, headers }: IncomingRecord): SessionEvent {
  if (headers.get('discarded') === 'true') return readMarker(key, headers);
  const envelope = parse(value);
  return {
    eventId: text(envelope, 'event_id'),
    eventType: text(envelope, 'event_type'),
    eventVersion: whole(envelope, 'event_version'),
    sessionId: text(envelope, 'aggregate_id'),
    sequence: whole(envelope, 'aggregate_version'),
    previous: headers.get('previous') ?? null,
    traceparent: headers.get('traceparent') ?? null,
    payload: object(envelope['payload'], 'payload'),
  };
}

/** What stands in the place of an event that operators have discarded: it has no value, its key and headers say which it was. */
function readMarker(key: Buffer | undefined, headers: ReadonlyMap<string, string>): SessionEvent {
  const header = (name: string): string => {
    const value = headers.get(name);
    if (value === undefined) throw new PoisonError(`the marker has no header ${name}`);
    return value;
  };
  const sequence = Number(header('sequence'));
  if (!Number.isInteger(sequence) || sequence < 1) throw new PoisonError('the header sequence is no version');
  return {
    eventId: header('ce_id'),
    eventType: header('ce_type'),
    eventVersion: 1,
    sessionId: key === undefined ? header('ce_subject') : key.toString(),
    sequence,
    previous: headers.get('previous') ?? null,
    traceparent: headers.get('traceparent') ?? null,
    payload: null,
  };
}

/** The request that an event makes; null if it is another event. @throws PoisonError */
export function readRequest(event: SessionEvent): ConceptRequest | null {
  const { eventId, eventType, eventVersion, sessionId, payload, traceparent } = event;
  if (eventType !== REQUESTED || payload === null) return null;
  if (eventVersion !== REQUESTED_VERSION) {
    throw new PoisonError(`version ${eventVersion} of ${REQUESTED} is not known here`);
  }
  return {
    eventId,
    sessionId,
    requestId: text(payload, 'request_id'),
    themes: texts(payload, 'theme_preferences'),
    styles: texts(payload, 'style_preferences'),
    traceparent,
  };
}

type Members = Readonly<Record<string, unknown>>;

function parse(value: Buffer | undefined): Members {
  if (value === undefined) throw new PoisonError('the record has no value');
  try {
    // Fatal: what is no UTF-8 must not become something else on the way.
    return object(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(value)), 'value');
  } catch (error) {
    if (error instanceof PoisonError) throw error;
    throw new PoisonError('the value is not JSON in UTF-8', { cause: error });
  }
}

function object(value: unknown, name: string): Members {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw new PoisonError(`${name} is no object`);
}

function text(members: Members, name: string): string {
  const value = members[name];
  if (typeof value === 'string' && value !== '') return value;
  throw new PoisonError(`${name} is no text`);
}

function texts(members: Members, name: string): readonly string[] {
  const value = members[name];
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
  throw new PoisonError(`${name} is no list of texts`);
}

function whole(members: Members, name: string): number {
  const value = members[name];
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1) return value;
  throw new PoisonError(`${name} is no whole number from 1`);
}
