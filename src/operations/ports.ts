import type { HistoryEvent } from '../events/ports.ts';
import type { CommandType } from '../genesis/commands.ts';
import type { EventRecord } from '../genesis/events.ts';
import type { CommandId, SessionId } from '../genesis/ids.ts';
import type { OutboxStatus, RecordHeaders } from '../outbox/outbox-row.ts';

/** Where a partition of the topic begins and ends. */
export interface TopicRange {
  readonly partition: number;
  /** First offset that is there. */
  readonly first: bigint;
  /** Where committed records end: the offset behind the last. */
  readonly end: bigint;
}

/** A committed record of the topic. */
export interface TopicRecord {
  readonly partition: number;
  readonly offset: bigint;
  /** When it was sent, in milliseconds since the epoch. */
  readonly timestamp: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: ReadonlyMap<string, string>;
}

/** The committed records of a topic. */
export interface TopicLog {
  /** @throws PublisherUnavailable, the signal's reason */
  ranges(signal?: AbortSignal): Promise<readonly TopicRange[]>;
  /**
   * The records with offsets from `from` up to, not including, `to`: in order, in chunks of bounded size. Offsets below the
   * partition's beginning are passed over.
   * @throws PublisherUnavailable, the signal's reason
   */
  read(partition: number, from: bigint, to: bigint, signal?: AbortSignal): AsyncIterable<readonly TopicRecord[]>;
}

/** An event's place in the log: the key and the order of its record. */
export interface Place {
  readonly sessionId: SessionId;
  /** aggregate_version. */
  readonly sequence: number;
}

/** What event_outbox says of an event's publication. */
export interface RowFacts {
  readonly id: number;
  /** Where it was, or is, to be sent. */
  readonly topic: string;
  readonly status: OutboxStatus;
  readonly partition: number | null;
  readonly offset: bigint | null;
  /** Milliseconds since the epoch, by the database's clock; null: nothing was sent for it. */
  readonly sentAt: number | null;
}

/** An event and its outbox row; null: the clean-up has removed it. */
export interface LoggedEvent {
  readonly event: HistoryEvent;
  readonly row: RowFacts | null;
}

/** An event that stands where a record says it does, with what is known of the one before it in its session. */
export interface PlacedEvent extends LoggedEvent {
  /** Null for version 1. */
  readonly previous: { readonly eventId: string; readonly row: RowFacts | null } | null;
}

/** An outbox row as it comes up in id order. */
export interface OutboxPlace extends RowFacts, Place {
  readonly eventId: string;
}

/** A piece of the outbox in id order. */
export interface OutboxPage {
  readonly rows: readonly OutboxPlace[];
  /** Numbers of transactions: all before `oldest` have ended, `next` had not begun. */
  readonly oldest: bigint;
  readonly next: bigint;
}

/** What reconciliation reads of the database. Each call is one short statement, and may throw GenesisError UNAVAILABLE. */
export interface ReconcileStore {
  /** The database's clock, in milliseconds since the epoch. */
  clock(): Promise<number>;
  /** About how many events there are, for the progress. */
  countEvents(): Promise<number>;
  /** The events after a place in (session, sequence) order: at most `limit` and a bounded number of bytes, but one at least. */
  eventsAfter(after: Place | null, limit: number): Promise<readonly LoggedEvent[]>;
  /** The events at these places, in no order; those that do not exist are missing. */
  eventsAt(places: readonly Place[]): Promise<readonly PlacedEvent[]>;
  /** The highest id below which every row is settled: published, or discarded and its marker sent. Looks through the outbox once. */
  lastSettled(): Promise<number>;
  /** Rows with ids above `after`, at most `limit`. */
  rowsAfter(after: number, limit: number): Promise<OutboxPage>;
  /** Those of these rows that exist. */
  rowsOf(ids: readonly number[]): Promise<readonly OutboxPlace[]>;
}

/** An event that the topic holds and the database does not. */
export interface MissingEvent {
  readonly event: EventRecord;
  readonly partition: number;
  readonly offset: bigint;
  /** When it was sent, in milliseconds since the epoch. */
  readonly sentAt: number;
  /** Headers of its record. */
  readonly headers: RecordHeaders;
}

/** An event that both hold, and where it is in the topic. */
export interface FoundEvent extends Place {
  readonly partition: number;
  readonly offset: bigint;
  /** When it was sent, in milliseconds since the epoch. */
  readonly sentAt: number;
  /** Its record says that it was discarded. */
  readonly marker: boolean;
}

/** A command as its events tell it. Its Idempotency-Key is in no event. */
export interface RecoveredCommand {
  readonly commandId: CommandId;
  readonly sessionId: SessionId;
  readonly userId: string;
  readonly commandType: CommandType;
  /** JSON text. */
  readonly payload: string;
  /** PROCESSING: a request; it is left open if no event ends it. */
  readonly status: 'COMPLETED' | 'PROCESSING';
  readonly firstVersion: number;
  readonly lastVersion: number;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/** How a request ended. */
export interface RecoveredEnd {
  readonly requestId: CommandId;
  /** Null: COMPLETED; else FAILED for this reason. */
  readonly failedBecause: string | null;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** What the database knows of the places and sessions that were asked for. */
export interface ImportFacts {
  readonly known: readonly (Place & { readonly eventId: string })[];
  /** The last event of each session that has events. */
  readonly heads: readonly (Place & { readonly eventId: string })[];
}

/** What is written in one step: all or nothing. */
export interface ImportStep {
  /** In the order of their records: each session's by version, without a gap. */
  readonly missing: readonly MissingEvent[];
  readonly found: readonly FoundEvent[];
  readonly commands: readonly RecoveredCommand[];
  readonly ends: readonly RecoveredEnd[];
}

/** Where a partition was read to, and from where. */
export interface ReadPartition {
  readonly partition: number;
  readonly from: bigint;
  readonly to: bigint;
}

/** What recovery does to the database. Each call may throw GenesisError UNAVAILABLE or TransactionConflict: nothing was written. */
export interface RecoverStore {
  look(places: readonly Place[]): Promise<ImportFacts>;
  /**
   * Locks the sessions of these places, lets `plan` decide by what is there then, and writes it, in one short transaction. From the
   * first event that is written on, commands are refused.
   */
  step(places: readonly Place[], plan: (facts: ImportFacts) => ImportStep): Promise<ImportStep>;
  /** Takes commands again, and tells the relays how far the partitions are known. */
  settle(partitions: readonly ReadPartition[]): Promise<void>;
  /** Whether commands are refused because the topic is ahead. */
  isAhead(): Promise<boolean>;
  /** Names of the relays that are alive. One that was killed counts until its membership has expired, five seconds at most. */
  relaysAlive(): Promise<readonly string[]>;
}

/** Which events are published anew. Null: no bound. */
export interface Selection {
  readonly sessionId: SessionId | null;
  /** Events that happened at this time or later, in milliseconds since the epoch. */
  readonly since: number | null;
  /** Events that happened before it. */
  readonly until: number | null;
}

export interface SelectedEvent {
  readonly event: EventRecord;
  /** Operators have discarded it: its marker is sent. */
  readonly discarded: boolean;
}

export interface SelectedPage {
  readonly events: readonly SelectedEvent[];
  /** The last event that was looked at; null: there are none behind. */
  readonly last: Place | null;
}

/** What republishing reads. Each call may throw GenesisError UNAVAILABLE. */
export interface RepublishStore {
  count(selection: Selection): Promise<number>;
  /** The selected events among the next ones after a place, in (session, sequence) order; a bounded number and size. */
  select(selection: Selection, after: Place | null): Promise<SelectedPage>;
  /** Whether any event was ever to be published to this topic. */
  isLive(topic: string): Promise<boolean>;
}
