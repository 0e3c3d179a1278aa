import type { EventId, SessionId } from '../../genesis/ids.ts';
import type { OutboxStatus } from '../outbox-row.ts';

/** Which rows are meant. Null: any. What is told holds together: a row must fit all of it. */
export interface RowFilter {
  /** Ids of event_outbox, at most 1,000. */
  readonly ids: readonly number[] | null;
  readonly eventId: EventId | null;
  readonly sessionId: SessionId | null;
  /** Null: whatever is not settled; and every row where ids, an event or a session are named. */
  readonly status: OutboxStatus | null;
  readonly eventType: string | null;
  readonly shard: number | null;
  /** Bounds of the id, themselves included. */
  readonly fromId: number | null;
  readonly toId: number | null;
  /** Seconds since the event was committed, by the database's clock. */
  readonly minAge: number | null;
  readonly maxAge: number | null;
}

/** A row of event_outbox as people see it. Times are milliseconds since the epoch. */
export interface OutboxRow {
  readonly id: number;
  readonly eventId: EventId;
  /** Null: a row whose headers do not say it. */
  readonly eventType: string | null;
  readonly sessionId: SessionId;
  /** aggregate_version of its event. */
  readonly sequence: number;
  readonly shard: number;
  readonly topic: string;
  readonly status: OutboxStatus;
  readonly retryCount: number;
  readonly maxRetries: number;
  readonly lastError: string | null;
  /** When it may be tried again; means something only while it waits for its retry. */
  readonly scheduledAt: number;
  readonly createdAt: number;
  /** Seconds since then, by the database's clock. */
  readonly age: number;
  /** When the broker acknowledged it, or the marker that stands in its place. Null: it is not settled. */
  readonly sentAt: number | null;
  readonly partition: number | null;
  readonly offset: number | null;
}

/** A session whose rows do not go the ordinary way, and the row that it waits for. */
export interface Hold {
  readonly sessionId: SessionId;
  readonly nextSequence: number;
  /** Null: its rows may be sent. */
  readonly blocking: BlockingRow | null;
  /** Until when it waits, in milliseconds since the epoch; null: until somebody acts, or not at all. */
  readonly waitsUntil: number | null;
  /** When it came to be on hold. */
  readonly since: number;
}

export interface BlockingRow {
  readonly id: number;
  readonly eventId: EventId;
  readonly sequence: number;
  readonly status: OutboxStatus;
  readonly lastError: string | null;
}

/** A row of relay_shards. Times are milliseconds since the epoch. */
export interface ShardFacts {
  readonly shard: number;
  /** Who holds its lease now; null: nobody. */
  readonly owner: { readonly id: number; readonly name: string | null } | null;
  /** Seconds until the lease expires; null without owner. */
  readonly leaseExpiresIn: number | null;
  /** What the owner says of it; `free` without owner. */
  readonly state: string;
  readonly paused: boolean;
  /** Offset of a record whose event the database does not know, as text; null: none is known. */
  readonly topicAheadAt: string | null;
  readonly epoch: number;
  readonly floor: number;
  /** An offset, as text: 64 bits wide. */
  readonly position: string;
  readonly lastProgressAt: number | null;
  readonly lastError: string | null;
}

export interface MemberFacts {
  readonly id: number;
  readonly name: string;
  readonly delivery: string;
  readonly joinedAt: number;
  /** Seconds until it counts as gone; negative when it does. */
  readonly expiresIn: number;
  readonly shards: readonly number[];
}

/** The relays of the database at one moment. */
export interface RelayFacts {
  /** In ascending order. */
  readonly shards: readonly ShardFacts[];
  readonly members: readonly MemberFacts[];
  /** The database is older than the topic: nothing may be published. */
  readonly topicAhead: boolean;
}

/** What was counted of one shard in one look. */
export interface ShardCount {
  readonly shard: number;
  /** All PENDING rows. */
  readonly pending: number;
  /** Of these, refused and waiting for their retry. */
  readonly waitingForRetry: number;
  /** Of these, waiting behind an earlier event of their session. */
  readonly held: number;
  readonly failed: number;
  /** DISCARDED, and the marker not sent yet. */
  readonly discarded: number;
  readonly sessionsOnHold: number;
  /** Seconds since the oldest of all these was committed; null: there is none. */
  readonly oldestAge: number | null;
}

/** A bounded look at rows. `next`: where the next look begins; null: there is nothing behind. */
export interface CountLook<Position> {
  readonly counts: readonly ShardCount[];
  /** Whether all rows up to `next` were counted. */
  readonly complete: boolean;
  readonly examined: number;
  readonly next: Position | null;
}

/**
 * The ways to find rows without an index on their status.
 * - `held`: rows of sessions on hold that are not settled, by session and sequence.
 * - `ordinary`: PENDING rows of all other sessions from an id on, lowest id first.
 * - `settled`: rows that are settled, highest id first.
 * - `session`: rows of one session, whatever their status, in order.
 * - `ids`: rows by their ids, whatever their status, in order.
 */
export const LANES = ['held', 'ordinary', 'settled', 'session', 'ids'] as const;
export type Lane = (typeof LANES)[number];

/** Where a look at a lane begins, itself included. */
export interface LanePosition {
  /** `held` only: the session. */
  readonly key: SessionId | null;
  /** A sequence in `held` and `session`, else an id. */
  readonly at: number;
}

/** What a lane is searched for. */
export interface LaneFilter extends RowFilter {
  readonly statuses: readonly OutboxStatus[];
}

/** What a bounded look at a lane found. */
export interface LaneLook {
  readonly rows: readonly OutboxRow[];
  /** Where the look ended, when it found fewer rows than asked for; null: at the lane's end. */
  readonly next: LanePosition | null;
}

/** Who did it, and how it is told in the audit trail. */
export interface Deed {
  /** Shared by all steps of one call: a UUID. */
  readonly callId: string;
  /** `sub` of a token, or a name on the machine: 1–255 characters. */
  readonly actor: string;
  readonly via: 'http' | 'cli';
  readonly reason: string | null;
  /** What was asked for, as JSON. */
  readonly filter: string;
}

export const ROW_ACTIONS = ['retry', 'discard'] as const;
export type RowAction = (typeof ROW_ACTIONS)[number];

/** One step of changing rows. */
export interface RowStep {
  readonly action: RowAction;
  readonly ids: readonly number[];
  /** Discard PENDING rows of sessions that nothing keeps waiting too. */
  readonly force: boolean;
  readonly deed: Deed;
}

/** A line of the audit trail. */
export interface OperatorAction {
  readonly id: number;
  /** Milliseconds since the epoch, by the database's clock. */
  readonly at: number;
  readonly callId: string;
  readonly actor: string;
  readonly via: string;
  readonly action: string;
  /** Parsed JSON. */
  readonly filter: unknown;
  readonly reason: string | null;
  readonly eventIds: readonly EventId[];
  readonly shards: readonly number[];
}

export interface ActionQuery {
  readonly action: string | null;
  readonly actor: string | null;
  readonly callId: string | null;
  /** Only lines with a smaller id; null: from the newest on. */
  readonly before: number | null;
  readonly limit: number;
}

/** What a session has still to publish. */
export interface SessionLook {
  /** Whether there is such a session. */
  readonly exists: boolean;
  /** Rows that are not settled, in order: the first of them. */
  readonly waiting: readonly OutboxRow[];
  /** Whether these are all. */
  readonly complete: boolean;
  /** The last row before them that is settled; null: none is known any more. */
  readonly lastSettled: OutboxRow | null;
}

/**
 * The tables as operators see and change them. Each call is bounded, whatever the tables hold, and may throw GenesisError
 * UNAVAILABLE.
 */
export interface OperationsStore {
  relays(): Promise<RelayFacts>;
  /** Counts the PENDING rows of sessions that are not on hold, among the next `limit` rows from an id on. */
  countOrdinary(fromId: number, limit: number): Promise<CountLook<number>>;
  /** Counts the rows of sessions on hold, some sessions at a time. */
  countHeld(after: SessionId | null): Promise<CountLook<SessionId>>;
  /** At most `limit` rows of a lane from a position on, itself included; null: from the lane's beginning. */
  find(lane: Lane, filter: LaneFilter, from: LanePosition | null, limit: number): Promise<LaneLook>;
  holdsOf(sessionIds: readonly SessionId[]): Promise<readonly Hold[]>;
  look(sessionId: SessionId): Promise<SessionLook>;
  /**
   * Changes those of the rows whose status still allows it and that nobody else has locked, and tells the audit trail, in one
   * transaction. Gives the ids of the rows that were changed.
   * @throws GenesisError OUTCOME_UNKNOWN
   */
  change(step: RowStep): Promise<readonly number[]>;
  /** Pauses or resumes a shard and tells the audit trail, in one transaction. False: it was so already. */
  setPaused(shard: number, paused: boolean, deed: Deed): Promise<boolean>;
  /** Newest first. */
  actions(query: ActionQuery): Promise<readonly OperatorAction[]>;
}
