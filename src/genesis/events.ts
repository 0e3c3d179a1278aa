import type { EVENT_SCHEMAS, EventType, PayloadOf } from './event-schemas.ts';
import type { CommandId, EventId, SessionId, UserId } from './ids.ts';

export type { EventType };

/** The version in which each event is written now. Counts up; the name never carries it. */
export const EVENT_VERSIONS = {
  'Genesis.Session.Created': 1,
  'Genesis.Session.Requested': 1,
  'Genesis.Session.Proposed': 1,
  'Genesis.Session.Failed': 1,
  'Genesis.Session.Submitted': 1,
  'Genesis.Session.Confirmed': 1,
  'Genesis.Session.Finished': 1,
  'Genesis.Session.Updated': 1,
} as const satisfies { readonly [T in EventType]: keyof (typeof EVENT_SCHEMAS)[T] };

/** The payload of each event in its current version, by event_type: what its schema (event-schemas.ts) describes. */
export type EventPayloads = { readonly [T in EventType]: PayloadOf<T, (typeof EVENT_VERSIONS)[T]> };

/** What happened; discriminated by `type`. */
export type DomainEvent = {
  [T in EventType]: { readonly type: T; readonly payload: EventPayloads[T] };
}[EventType];

/** An event with its place in the history of a session: what `evolve` folds. */
export interface RecordedEvent {
  readonly event: DomainEvent;
  readonly eventId: EventId;
  readonly sessionId: SessionId;
  readonly version: number;
  readonly userId: UserId;
  /** By the database's clock, in milliseconds since the epoch. */
  readonly occurredAt: number;
}

export const AGGREGATE_TYPE = 'GENESIS_SESSION';

/** An event as it is stored and sent: encoded once, the same bytes ever after. */
export interface EventRecord {
  readonly eventId: EventId;
  readonly eventType: EventType;
  readonly eventVersion: number;
  readonly aggregateId: SessionId;
  /** 1, 2, 3 … without a gap, per session. */
  readonly aggregateVersion: number;
  /** JSON text. */
  readonly payload: string;
  /** JSON text: user_id, source_service and, if known, traceparent. */
  readonly metadata: string;
  /** The command it belongs to; an answer's is its request's. */
  readonly correlationId: CommandId;
  /** The event that caused it, else the command. */
  readonly causationId: EventId | CommandId;
  /** The session's event before; null for version 1. */
  readonly previous: EventId | null;
  /** By the database's clock, in milliseconds since the epoch. */
  readonly occurredAt: number;
}
