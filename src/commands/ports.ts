import { GenesisError } from '../errors.ts';
import type { Command } from '../genesis/commands.ts';
import type { CommandId, SessionId, UserId } from '../genesis/ids.ts';
import type { EventRecord } from '../genesis/events.ts';
import type { Session } from '../genesis/session.ts';
import type { NewOutboxRow } from '../outbox/outbox-row.ts';

/** Who sends a command, as far as the domain minds. */
export interface Actor {
  readonly userId: UserId;
  /** `author` owns sessions; `agent` answers requests in any of them; `system` is this program itself. */
  readonly role: 'author' | 'agent' | 'system';
}

/** Makes a retried request recognisable. Scope: session and user; for CreateSession the user. */
export interface IdempotencyKey {
  readonly key: string;
  /** SHA-256 of method, path, canonical body and If-Match, in hex. */
  readonly fingerprint: string;
}

/** One command, its payload already valid by its schema. */
export interface CommandRequest {
  readonly commandId: CommandId;
  /** The session it is for; for CreateSession the id that the new session gets. */
  readonly sessionId: SessionId;
  readonly actor: Actor;
  readonly command: Command;
  readonly idempotencyKey: IdempotencyKey | null;
  /** The version that If-Match names, or null. */
  readonly expectedVersion: number | null;
  /** W3C trace context of the request, if it brought one. */
  readonly traceparent: string | null;
  /** Milliseconds that it has waited to be looked at: they count as waited for a transaction. Absent: none. */
  readonly waited?: number;
}

/** What an accepted command is answered with, now and on every retry with its key. */
export interface Answer {
  readonly commandId: CommandId;
  readonly sessionId: SessionId;
  /** PROCESSING: accepted, its result comes later (RequestConceptGeneration). */
  readonly status: 'COMPLETED' | 'PROCESSING';
  /** The session's version after the command. */
  readonly version: number;
  /** The new session, for CreateSession; null for the others. */
  readonly session: Session | null;
}

export type CommandOutcome =
  | { readonly kind: 'accepted'; readonly answer: Answer; readonly replayed: boolean }
  | { readonly kind: 'refused'; readonly refusal: CommandRefusal };

/** Why a command was not accepted. A refusal writes nothing and binds no Idempotency-Key. */
export type CommandRefusal =
  | { readonly code: 'SESSION_NOT_FOUND' }
  | { readonly code: 'IDEMPOTENCY_KEY_REUSED' }
  | { readonly code: 'VERSION_MISMATCH'; readonly actualVersion: number }
  | { readonly code: 'DUPLICATE_COMMAND'; readonly duplicateCommandId: CommandId }
  | { readonly code: 'STAGE_MISMATCH'; readonly currentStage: Session['currentStage'] }
  | { readonly code: 'SESSION_CLOSED'; readonly status: Session['status'] }
  | { readonly code: 'NOTHING_TO_ANSWER'; readonly outstandingRequestId: CommandId | null };

/** What HTTP needs of this room. */
export interface CommandService {
  /**
   * Takes a command through its transaction. Resolves after COMMIT.
   * @throws GenesisError OVERLOADED or UNAVAILABLE (certainly nothing written), OUTCOME_UNKNOWN (COMMIT's answer was lost and
   *   could not be learnt by the deadline; its details carry `command_id` and `session_id`).
   */
  execute(request: CommandRequest): Promise<CommandOutcome>;
}

/** For a command that finds the queue full. */
export function tooManyWaiting(): GenesisError {
  return new GenesisError('OVERLOADED', 'Too many commands are waiting. Nothing was written; try again.');
}

/** A command in command_inbox that still waits for its result. */
export interface UnfinishedCommand {
  readonly commandId: CommandId;
  readonly sessionId: SessionId;
  readonly commandType: Command['type'];
}

/** An accepted command found by its Idempotency-Key. */
export interface BoundKey {
  readonly sessionId: SessionId;
  readonly userId: UserId;
  readonly key: string;
  readonly fingerprint: string;
  /** True when POST /sessions bound it: then its scope is the user. */
  readonly createsSession: boolean;
  readonly answer: Answer;
}

/** A row for command_inbox. */
export interface InboxRow {
  readonly request: CommandRequest;
  readonly status: 'COMPLETED' | 'PROCESSING';
  readonly answer: Answer;
  /** Versions of the events it caused. */
  readonly firstVersion: number;
  readonly lastVersion: number;
  /** When an unanswered request fails by itself, in milliseconds since the epoch by the database's clock. */
  readonly deadline: number | null;
}

/** The end of a command that was PROCESSING. */
export interface FinishedCommand {
  readonly commandId: CommandId;
  readonly status: 'COMPLETED' | 'FAILED';
  readonly errorMessage: string | null;
}

/** A session as it is after the batch; `baseVersion` 0 means that the batch creates it. */
export interface SessionChange {
  readonly session: Session;
  readonly baseVersion: number;
  /** Its confirmed data are what they were, and need not be written; they may be large. Absent: false. */
  readonly sameData?: boolean;
}

/** All rows of one transaction. Each inbox row and each session occurs at most once. */
export interface WriteSet {
  readonly inbox: readonly InboxRow[];
  readonly finished: readonly FinishedCommand[];
  /** In (session, version) order. */
  readonly events: readonly EventRecord[];
  /** One for each event, at its place: their ids ascend in this order. */
  readonly outbox: readonly NewOutboxRow[];
  readonly sessions: readonly SessionChange[];
}

export interface LockedSessions {
  /** Those that exist and that this transaction has locked. */
  readonly sessions: readonly Session[];
  /** Those that exist but are locked by somebody else. The rest does not exist. */
  readonly busy: readonly SessionId[];
  /**
   * Of `sessions` those that hold events newer than this program knows (EVENT_SCHEMA_LEVEL): their state is not ours to judge by.
   * Absent: none.
   */
  readonly tooNew?: readonly SessionId[];
  /** Of the keys asked for those that somebody else is using just now. Absent: none. */
  readonly busyKeys?: readonly CreateKey[];
  /**
   * The topic holds events that the database does not know: it was restored. No command is judged by a past that is not the last
   * one. Absent: false.
   */
  readonly topicAhead?: boolean;
  /** The database's clock, in milliseconds since the epoch. */
  readonly now: number;
}

/** What a batch asks of the inbox. */
export interface InboxQuery {
  readonly sessionIds: readonly SessionId[];
  /** Keys of commands for existing sessions. */
  readonly sessionKeys: readonly SessionKey[];
  readonly createKeys: readonly CreateKey[];
}

export interface InboxState {
  readonly unfinished: readonly UnfinishedCommand[];
  readonly bound: readonly BoundKey[];
}

/**
 * The steps of one transaction, in this order. Locks come first; what they protect is read by a later statement. `lock` and
 * `readInbox` may be called in one go, and then go out together: they keep their order.
 */
export interface CommandTransaction {
  /** Takes the locks of `createKeys`, then the sessions' row locks in id order; waits for nobody. */
  lock(sessionIds: readonly SessionId[], createKeys: readonly CreateKey[]): Promise<LockedSessions>;
  /** Of sessions that `lock` did not get it says nothing to rely on. */
  readInbox(query: InboxQuery): Promise<InboxState>;
  /** At most once per transaction, and as its last step: it is committed with it. */
  write(rows: WriteSet): Promise<void>;
}

/** The Idempotency-Key of a command for an existing session: its scope is the session and the user. */
export interface SessionKey {
  readonly sessionId: SessionId;
  readonly userId: UserId;
  readonly key: string;
}

/** The Idempotency-Key of a CreateSession: its scope is the user. */
export interface CreateKey {
  readonly userId: UserId;
  readonly key: string;
}

export interface CommandStore {
  /**
   * Runs `work` in one transaction and resolves with its result after COMMIT.
   *
   * @param timeLimit Milliseconds for everything, finding out about a lost COMMIT included.
   * @param batch Whose transaction it is: for whoever watches. A store needs only `work`.
   * @throws TransactionConflict if the database asks to try again (nothing written).
   * @throws GenesisError UNAVAILABLE (certainly nothing written) or OUTCOME_UNKNOWN.
   * @throws whatever `work` throws (rolled back).
   */
  transaction<Result>(
    work: (transaction: CommandTransaction) => Promise<Result>,
    timeLimit: number,
    batch?: readonly CommandRequest[],
  ): Promise<Result>;
}

/** Deadlock, serialisation failure or lock time-out: the same transaction may succeed when tried again. */
export class TransactionConflict extends Error {
  override readonly name = 'TransactionConflict';
}

/** A request whose deadline has passed and that nobody has answered. */
export interface OverdueRequest {
  readonly requestId: CommandId;
  readonly sessionId: SessionId;
}

/** A place among the overdue requests; opaque, comparable only by the database. */
export interface OverduePlace {
  readonly deadline: string;
  readonly requestId: CommandId;
}

/** One page of the unanswered requests, those that are due first before the others. */
export interface OverduePage {
  readonly overdue: readonly OverdueRequest[];
  /** Where the next page begins; null when no further request was overdue. */
  readonly next: OverduePlace | null;
  /** Milliseconds until the first request that is not overdue becomes so, by the database's clock; null if there is none. */
  readonly nextDueIn: number | null;
}

export interface OverdueRequests {
  /**
   * Looks for requests that are past their deadline by the database's clock.
   *
   * @param after Where the page before ended; null for the first one.
   * @param limit Most requests on the page, at least 2.
   * @throws GenesisError UNAVAILABLE
   */
  find(after: OverduePlace | null, limit: number): Promise<OverduePage>;
}
