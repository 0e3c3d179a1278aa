import type { EventId, SessionId } from '../genesis/ids.ts';
import type { RecordHeaders } from '../outbox/outbox-row.ts';

/** What is promised of a record's copies: see docs/delivery.md. One per database. */
export type DeliveryMode = 'at-least-once' | 'exactly-once';

/** A row of event_outbox as the relay claims it: PENDING, or DISCARDED and its marker not sent yet. */
export interface ClaimedRow {
  /** Place in the outbox: ascends per session with `sequence`. */
  readonly id: number;
  readonly eventId: EventId;
  readonly topic: string;
  readonly key: SessionId;
  /** The partition the record goes to. */
  readonly shard: number;
  readonly sequence: number;
  /** Null: the event was discarded, and its marker is sent in its place. */
  readonly payload: string | null;
  readonly headers: RecordHeaders;
  /** How often the broker has refused it so far. */
  readonly retryCount: number;
  /** How many refusals are followed by another try. */
  readonly maxRetries: number;
  /** When the event was committed, by the database's clock, in milliseconds since the epoch. */
  readonly createdAt: number;
  /** Its session is on hold: the row comes by its session's turn, not by its id. */
  readonly held: boolean;
}

/** Where a row's record was acknowledged. */
export interface Sent {
  readonly id: number;
  readonly partition: number;
  /** Offset in the partition, as the broker said; a string because offsets are 64 bits wide. */
  readonly offset: string;
}

/** A row that the broker refused, alone in its partition's batch. */
export interface Refusal {
  readonly id: number;
  readonly shard: number;
  /** The broker's words. */
  readonly error: string;
}

/** What follows a refusal: another try after a delay, or the end of its tries. */
export type AfterRefusal =
  | { readonly kind: 'retry'; readonly delayMs: number }
  | { readonly kind: 'fail' }
  | { readonly kind: 'discard' };

export interface ClaimRequest {
  /** Whose rows are wanted: shards that this member holds. */
  readonly shards: readonly number[];
  /** No ordinary row of these shards below this id is still to be sent: the claim begins here. */
  readonly floor: number;
  /** Most ordinary rows, and most rows of sessions on hold, each. */
  readonly limit: number;
  /** Ids of rows that are claimed already and not settled yet. */
  readonly exceptIds: readonly number[];
  /** Sessions of which nothing may be claimed now. */
  readonly exceptSessions: readonly SessionId[];
  /** Rows of sessions on hold that may go on are wanted, too. */
  readonly alsoHeld: boolean;
}

export interface Claim {
  /**
   * Those of the requested shards that were claimed: the member held them and they were not paused, at the moment of the claim.
   * Of the others nothing is known.
   */
  readonly shards: readonly number[];
  /** Ordinary rows, lowest id first; then rows of sessions on hold, by session and sequence. A session is among one of them. */
  readonly rows: readonly ClaimedRow[];
  /** Whether these are all ordinary rows that can be claimed; false when the limit or the bound of bytes cut them. */
  readonly complete: boolean;
  /**
   * Every row with a lower id that will ever exist was visible to this claim: the transactions that could still have brought one
   * have ended.
   */
  readonly horizon: number;
}

/** A committed record of the topic that was read back. */
export interface FoundRecord {
  readonly partition: number;
  readonly offset: string;
  readonly key: string;
  readonly eventId: string;
  /** aggregate_version, by its header. */
  readonly sequence: number;
  readonly discarded: boolean;
}

export interface MarkedFound {
  /** How many rows were not marked before. */
  readonly marked: number;
  /** Rows that somebody else has locked: to be marked later, and not to be sent again. */
  readonly locked: readonly { readonly id: number; readonly record: FoundRecord }[];
}

/**
 * event_outbox as a member sees it, on a connection of its own. Every call fails with `LeaseLost` once the connection is gone.
 * What needs a shard's lease is refused by the database when the member no longer holds it: such rows are not given, such
 * refusals not written.
 */
export interface OutboxStore {
  claim(request: ClaimRequest): Promise<Claim>;
  /**
   * PENDING → SENT, all in one statement; an acknowledgement is true whoever brings it, so no lease is needed. A row that an
   * operator has meanwhile discarded stays DISCARDED and gets its position. Gives the ids of rows that somebody else has locked:
   * to be marked later.
   */
  markSent(sent: readonly Sent[]): Promise<readonly number[]>;
  /** Marks the rows of records that were found in the topic, as `markSent` does. */
  markFound(records: readonly FoundRecord[]): Promise<MarkedFound>;
  /** Those of the records whose event is not in domain_events. */
  findForeign(records: readonly FoundRecord[]): Promise<readonly FoundRecord[]>;
  /**
   * Counts the try, and hides the row and so its session: for a while, or until an operator acts; or discards it. `lost`: the
   * shard is no longer ours, nothing was written. `locked`: somebody else has the row locked: try later.
   */
  charge(refusal: Refusal, next: AfterRefusal): Promise<'charged' | 'locked' | 'lost'>;
  /**
   * Looks anew at sessions on hold of which rows were settled: how far they have come, and whether anything is left. A session of which
   * nothing is left to send leaves the hold. On the connection of the claims: what comes after a claim sees all that this saw, so no hold
   * is dropped whose rows the claim has passed over.
   */
  settleHolds(sessions: readonly SessionId[]): Promise<void>;
  /**
   * Milliseconds until a session on hold in one of the shards may go on, by the database's clock; 0 when one may now, null when
   * there is none.
   */
  nextRetryIn(shards: readonly number[], exceptSessions: readonly SessionId[]): Promise<number | null>;
}

/** What a member says of a shard it holds; stored with the next beat, for its successor and for operators. */
export interface ShardReport {
  readonly shard: number;
  readonly floor: number;
  /** Everything in the partition below this offset is marked. */
  readonly position: string;
  readonly state: ShardState;
  /** Milliseconds since the epoch; null before the first. */
  readonly lastProgressAt: number | null;
  readonly lastError: string | null;
}

/** See docs/relay.md. `free` has no owner. `active` says that every predecessor is fenced; it must not be said before. */
export type ShardState = 'free' | 'recovering' | 'active' | 'unavailable' | 'topic-ahead' | 'paused' | 'leaving';

/** A row of relay_shards. */
export interface ShardView {
  readonly shard: number;
  readonly owner: number | null;
  /** Nobody holds it: it was given back, or its lease has expired, or its owner's session has ended. */
  readonly vacant: boolean;
  readonly epoch: number;
  readonly paused: boolean;
}

/** The relays and shards of the database at one moment. */
export interface GroupView {
  /** Ids of the members that are alive, ascending; this one is among them unless it has expired. */
  readonly members: readonly number[];
  readonly shards: readonly ShardView[];
}

export interface AcquiredShard {
  readonly shard: number;
  readonly epoch: number;
  readonly floor: number;
  readonly position: string;
  /**
   * Transactional ids to be fenced before anything is read back. More than one if an owner ended before it had fenced those before
   * it: they count as fenced once a report of the shard says `active`.
   */
  readonly predecessors: readonly string[];
}

export interface NewMember {
  /** Host and process, for people. */
  readonly name: string;
  readonly delivery: DeliveryMode;
}

/** The relays of one database. */
export interface RelayGroup {
  /**
   * Joins the group with no shards. @throws DeliveryModeDiffers when relays with another mode are alive; the driver's error when
   * the database cannot be asked; the signal's reason when it aborts.
   */
  join(member: NewMember, signal: AbortSignal): Promise<Membership>;
}

/** One stay of one relay in the group. Once it is over, the relay joins anew. Calls fail with `LeaseLost` once `lost` aborts. */
export interface Membership {
  readonly id: number;
  /** Unique in the group for ever: names this member's transactions. Recorded with each shard that it acquires. */
  readonly transactionalId: string;
  /** Milliseconds for which a beat or an acquisition holds, counted from before it was sent. */
  readonly ttl: number;
  readonly store: OutboxStore;
  /** Aborts once a connection is lost. */
  readonly lost: AbortSignal;
  /** Renews the membership and the leases, stores the reports, and looks around. */
  beat(reports: readonly ShardReport[]): Promise<Beat>;
  /** Takes those of the shards that are still vacant, counting their epochs up. */
  acquire(shards: readonly number[]): Promise<readonly AcquiredShard[]>;
  /**
   * Gives shards back in an orderly way: nothing of theirs is on its way. Their floors and positions are as reported. `inDoubt`: what
   * our transactions wrote there is not decided yet, or not visible: whoever takes the shards next is to fence us.
   */
  release(shards: readonly ShardReport[], inDoubt?: boolean): Promise<void>;
  /**
   * Says that the topic holds a record of the shard that the database does not know: commands are refused from now on. Nothing is said if
   * its event has been imported meanwhile.
   */
  reportTopicAhead(shard: number, offset: string, eventId: string): Promise<void>;
  /** Ends the membership; shards that were not given back are vacant. Never rejects. */
  leave(): Promise<void>;
}

export interface Beat {
  readonly view: GroupView;
  /** Shards whose lease this beat renewed; one that is missing was lost. */
  readonly held: readonly number[];
}

/** The member may no longer be assumed to hold anything: another relay may already be at work. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';
}

/** Relays with another delivery mode are at work: they cannot share a topic. */
export class DeliveryModeDiffers extends Error {
  override readonly name = 'DeliveryModeDiffers';
}

/** What is sent for a claimed row. */
export type OutgoingRecord = Pick<ClaimedRow, 'topic' | 'key' | 'shard' | 'payload' | 'headers'>;

/** What an outage concerns; the rest can go on. */
export type OutageScope = 'cluster' | 'topic' | 'partition';

/**
 * What became of one record.
 * - `acknowledged`: written by all in-sync replicas (and its transaction committed).
 * - `refused`: the broker will never take this batch of its partition as it is (too large, invalid record or timestamp), or
 *   we could not encode it; certainly not written.
 * - `unavailable`: the broker, topic or partition cannot be written now, or what happened is unknown (it may have been
 *   written). At least once: sending it again, in order, is right: a duplicate at worst, never a gap. Exactly once: the
 *   partition is to be read back first.
 * - `rolled-back`: nothing is wrong with it, but it shared a transaction with a record that is refused or unavailable. Not written.
 * - `fenced`: another relay has taken over: whoever is told this leaves the group.
 */
export type RecordOutcome =
  | { readonly kind: 'acknowledged'; readonly partition: number; readonly offset: string }
  | { readonly kind: 'refused'; readonly error: string }
  | { readonly kind: 'unavailable'; readonly scope: OutageScope; readonly error: string }
  | { readonly kind: 'rolled-back'; readonly error: string }
  | { readonly kind: 'fenced'; readonly error: string };

export interface SendHooks {
  /** Called once when the send has taken longer than the delivery deadline; at-least-once sends stay pending. */
  readonly onStalled?: (error: string) => void;
  /** Exactly once: awaited after the records are written and before their transaction ends. If it rejects, the transaction is rolled back. */
  readonly beforeCommit?: () => Promise<void>;
}

/** The broker as the relay sees it: one awaited send at a time. */
export interface Publisher {
  /**
   * Sends the records in order and resolves with one outcome per record, in the same order. Never rejects for what a broker or a
   * network can do. While the whole cluster is away it keeps trying; a partition that cannot be written while others can is given
   * up soon, so that these go on.
   */
  send(records: readonly OutgoingRecord[], hooks?: SendHooks): Promise<readonly RecordOutcome[]>;
  /** Abandons a pending send (its outcomes become `unavailable`) and frees the connections. A later `send` opens new ones. */
  close(): Promise<void>;
}

/** A publisher whose sends are transactions. */
export interface TransactionalPublisher extends Publisher {
  /**
   * Whether the next send may follow: what became of all before it is certain. False before the first `open`, and after a send that ended otherwise
   * than acknowledged or, because a record was refused, rolled back by a broker that confirmed it: then it must be opened anew.
   */
  readonly isOpen: boolean;
  /**
   * Becomes the only producer of the transactional id, from here on fencing those before it; what they left open is rolled back.
   * @throws PublisherUnavailable
   */
  open(transactionalId: string, signal: AbortSignal): Promise<void>;
  /** Fences the producers of another transactional id, and rolls back what they left open. @throws PublisherUnavailable */
  fence(transactionalId: string, signal: AbortSignal): Promise<void>;
}

/** The committed records of the topic. */
export interface TopicReader {
  /** The last committed record of the partition, null when there is none. @throws PublisherUnavailable */
  last(partition: number, signal: AbortSignal): Promise<FoundRecord | null>;
  /**
   * The committed records of the partition from an offset up to where it ends now, in order, in chunks of bounded size. An offset
   * below the partition's beginning begins there. @throws PublisherUnavailable
   */
  from(partition: number, offset: string, signal: AbortSignal): AsyncIterable<readonly FoundRecord[]>;
  close(): Promise<void>;
}

/** The broker cannot be asked now. The message says why. */
export class PublisherUnavailable extends Error {
  override readonly name = 'PublisherUnavailable';
}

/** Tells the relay that there may be work, earlier than the next poll. */
export interface Wakeup {
  /** Calls `listener` for each hint until the returned function is called. Hints may be lost or invented: polling is the net. */
  subscribe(listener: () => void): () => void;
}
