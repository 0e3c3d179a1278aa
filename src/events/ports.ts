import type { CommandType } from '../genesis/commands.ts';
import type { EventRecord } from '../genesis/events.ts';
import type { CommandId, EventId, SessionId, UserId } from '../genesis/ids.ts';
import type { CurrentStage, Session, SessionStatus } from '../genesis/session.ts';
import type { OutboxStatus, RecordHeaders } from '../outbox/outbox-row.ts';

/** An event as it is stored: in the version it was written in. */
export interface StoredEvent {
  readonly eventId: EventId;
  /** A newer program may have stored types that this one does not know. */
  readonly eventType: string;
  readonly eventVersion: number;
  readonly sessionId: SessionId;
  /** 1, 2, 3 … without a gap, per session. */
  readonly aggregateVersion: number;
  readonly correlationId: CommandId;
  readonly causationId: EventId | CommandId;
  /** By the database's clock, in milliseconds since the epoch. */
  readonly occurredAt: number;
  /** Parsed JSON. */
  readonly payload: unknown;
}

/** What the outbox holds of an event. */
export interface OutboxFacts {
  readonly status: OutboxStatus;
  readonly topic: string;
  readonly partition: number | null;
  readonly offset: number | null;
  /** Milliseconds since the epoch. */
  readonly sentAt: number | null;
  readonly retryCount: number;
  readonly lastError: string | null;
  /** The session's first earlier event that FAILED or waits for its retry; null unless the row is PENDING. */
  readonly blockedBy: EventId | null;
}

/** An event that a command caused, and where it is on its way out. */
export interface CausedEventFacts {
  readonly eventId: EventId;
  readonly eventType: string;
  readonly aggregateVersion: number;
  /** Null: published, and its row has been cleaned up since. */
  readonly outbox: OutboxFacts | null;
}

/** RECEIVED is in the table for the seed's index; nothing stores it. */
export const COMMAND_STATUSES = ['RECEIVED', 'PROCESSING', 'COMPLETED', 'FAILED'] as const;
export type CommandStatus = (typeof COMMAND_STATUSES)[number];

/** A command that was accepted, and what became of it. */
export interface CommandRecord {
  readonly commandId: CommandId;
  readonly sessionId: SessionId;
  readonly commandType: CommandType;
  readonly status: CommandStatus;
  /** Why it FAILED; null otherwise. */
  readonly errorMessage: string | null;
  /** Milliseconds since the epoch, by the database's clock. */
  readonly createdAt: number;
  /** When its status changed last. */
  readonly updatedAt: number;
  /** In the order of their versions. The event that answers a request belongs to the command that answered. */
  readonly events: readonly CausedEventFacts[];
}

export interface SessionQuery {
  /** Null: everybody's. */
  readonly userId: UserId | null;
  readonly status: SessionStatus | null;
  readonly currentStage: CurrentStage | null;
  /** Only sessions with a smaller id; null: from the newest on. */
  readonly before: SessionId | null;
  readonly limit: number;
}

export interface CommandQuery {
  readonly sessionId: SessionId;
  readonly status: CommandStatus | null;
  readonly commandType: CommandType | null;
  /** Only commands with a smaller id; null: from the newest on. */
  readonly before: CommandId | null;
  readonly limit: number;
}

/**
 * What can be read besides one session's state. Each call costs a fixed number of statements, whatever the limit; each may throw
 * GenesisError UNAVAILABLE, within its time limit. Who may see what is judged by the caller.
 */
export interface Queries {
  /** Newest first, by id. */
  listSessions(query: SessionQuery): Promise<readonly Session[]>;
  /** Newest first, by id. */
  listCommands(query: CommandQuery): Promise<readonly CommandRecord[]>;
  readCommand(sessionId: SessionId, commandId: CommandId): Promise<CommandRecord | null>;
  /** Events with a version above `after`, ascending: at most `limit`, and only as many as bounded memory takes, but one at least. */
  readHistory(sessionId: SessionId, after: number, limit: number): Promise<History>;
}

/** A piece of a session's history. */
export interface History {
  readonly events: readonly StoredEvent[];
  /** Whether there may be events behind the last. */
  readonly more: boolean;
}

/** A place in the history of a session: the version that was seen last; 0 before the first. */
export interface Position {
  readonly sessionId: SessionId;
  readonly after: number;
}

/** What followed one position, without a gap. */
export interface Advance extends History {
  readonly position: Position;
}

/** Reads what is new for many followers at once. */
export interface NewEventsReader {
  /**
   * One statement for all positions, each named once; the answer holds one entry per position, in their order. It carries a
   * bounded number of events and bytes, per position and in all.
   * @throws GenesisError UNAVAILABLE
   */
  readNewEvents(positions: readonly Position[]): Promise<readonly Advance[]>;
}

/** An event as it is stored, its payload and metadata still text. A newer program may have stored types that this one does not know. */
export interface HistoryEvent extends Omit<EventRecord, 'eventType' | 'previous'> {
  readonly eventType: string;
}

/** A row of genesis_sessions. */
export interface Projection {
  readonly session: Session;
  readonly schemaLevel: number;
}

/** The outbox row at an event's place (session and version), as far as it must follow from the event. */
export interface OutboxCopy {
  readonly status: OutboxStatus;
  readonly shard: number;
  readonly payload: string;
  /** JSON text. */
  readonly headers: string;
  /** No relay will ever come to it: it is still to be sent, below where claims begin, and its session is not on hold. */
  readonly stuck: boolean;
}

export interface AuditedEvent {
  readonly event: HistoryEvent;
  /** Null: there is none. */
  readonly outbox: OutboxCopy | null;
}

/** A command that is unfinished, or that names versions which its session does not have. */
export interface SuspectCommand {
  readonly commandId: CommandId;
  readonly sessionId: SessionId;
  readonly unfinished: boolean;
  readonly firstVersion: number;
  readonly lastVersion: number;
  /** Whether events with both versions exist. */
  readonly versionsExist: boolean;
}

/** An outbox row whose event does not exist, or not at that place. */
export interface StrayRow {
  readonly id: number;
  readonly eventId: EventId;
  readonly sessionId: SessionId;
}

/** One moment of the database: all that is read from it belongs together, whatever is written meanwhile. */
export interface AuditSnapshot {
  /** By the database's clock, in milliseconds since the epoch. */
  readonly now: number;
  /** The next sessions in id order that any table knows of, at most `limit`. */
  sessionsAfter(after: SessionId | null, limit: number): Promise<readonly SessionId[]>;
  projections(sessionIds: readonly SessionId[]): Promise<readonly Projection[]>;
  suspectCommands(sessionIds: readonly SessionId[]): Promise<readonly SuspectCommand[]>;
  /** In (session, version) order, a bounded number at a time. At most once per snapshot. */
  events(sessionIds: readonly SessionId[]): AsyncIterable<readonly AuditedEvent[]>;
}

/** Reads the tables side by side to see whether they agree. Each call may throw GenesisError UNAVAILABLE. */
export interface AuditStore {
  /** How many sessions there are, for the progress. */
  countSessions(): Promise<number>;
  /** Lends a snapshot that ends with `look`. Short: an open one keeps the database from tidying up. */
  inSnapshot<Result>(look: (snapshot: AuditSnapshot) => Promise<Result>): Promise<Result>;
  /** The stray rows among the next `limit` of the outbox after `after`; `last` null: there are no further rows. */
  strayRows(
    after: number,
    limit: number,
  ): Promise<{ readonly rows: readonly StrayRow[]; readonly last: number | null }>;
  strayRowsOf(sessionId: SessionId): Promise<readonly StrayRow[]>;
}

/** A session whose row nobody else changes until the work on it is done. */
export interface LockedProjection {
  /** All events that were committed when the lock was held, in version order. At most once. */
  events(): AsyncIterable<readonly HistoryEvent[]>;
}

export interface ProjectionStore {
  /**
   * Locks the row of a session, asks `work` what it should be (null: leave it), and writes that, all in one short transaction.
   * `busy`: the row could not be locked in time, or appeared meanwhile; nothing was written.
   *
   * @throws GenesisError UNAVAILABLE
   */
  mend(sessionId: SessionId, work: (locked: LockedProjection) => Promise<Projection | null>): Promise<'done' | 'busy'>;
}

/** What an event looks like on its way to the broker: each a pure function of the stored event. */
export interface Wire {
  value(event: EventRecord): string;
  headers(event: EventRecord, traceparent: string | null): RecordHeaders;
  shard(sessionId: SessionId): number;
}
