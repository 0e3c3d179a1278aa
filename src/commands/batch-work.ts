import { GenesisError } from '../errors.ts';
import { decide, decideCreation, type Acceptance } from '../genesis/decide.ts';
import type { EventRecord } from '../genesis/events.ts';
import type { CommandId, SessionId, UserId } from '../genesis/ids.ts';
import type { Session } from '../genesis/session.ts';
import { buildOutboxRow, type Destination } from '../outbox/build-outbox-row.ts';
import type { NewOutboxRow } from '../outbox/outbox-row.ts';
import type {
  Answer,
  BoundKey,
  CommandOutcome,
  CommandRefusal,
  CommandRequest,
  FinishedCommand,
  InboxRow,
  InboxState,
  LockedSessions,
  SessionChange,
  WriteSet,
} from './ports.ts';
import { recordEvents } from './record-events.ts';

/**
 * What a command of a batch comes to. `deferred`: it could not be judged in this batch (its session is locked elsewhere, or one
 * row would have to change twice) and must be tried again in a later one. `failed`: this program cannot judge it at all.
 */
export type BatchOutcome =
  | CommandOutcome
  | { readonly kind: 'deferred' }
  | { readonly kind: 'failed'; readonly error: GenesisError };

export interface BatchSettings {
  readonly destination: Destination;
  /** Milliseconds after which an unanswered request fails by itself. */
  readonly generationTimeout: number;
  /** Makes a UUIDv7. */
  readonly newId: () => string;
}

/** The rows of one batch while its commands are judged one after another: each sees what those before it did. */
export class BatchWork {
  readonly #inbox: InboxRow[] = [];
  readonly #finished: FinishedCommand[] = [];
  readonly #settings: BatchSettings;
  readonly #now: number;
  readonly #sessions = new Map<SessionId, Session>();
  readonly #before = new Map<SessionId, Session>();
  readonly #waiting: Set<SessionId>;
  readonly #tooNew: ReadonlySet<SessionId>;
  readonly #busyKeys: ReadonlySet<string>;
  readonly #unfinished = new Map<string, CommandId>();
  readonly #bound = new Map<string, Pick<BoundKey, 'fingerprint' | 'answer'>>();
  /** Requests that this batch opened, and (session, type) pairs whose request it ended: those rows are not touched again. */
  readonly #opened = new Set<CommandId>();
  readonly #ended = new Set<string>();
  readonly #changed = new Set<SessionId>();
  /** An event and the row that publishes it. */
  readonly #published: { readonly event: EventRecord; readonly row: NewOutboxRow }[] = [];

  constructor(locked: LockedSessions, inbox: InboxState, settings: BatchSettings) {
    this.#settings = settings;
    this.#now = locked.now;
    this.#waiting = new Set(locked.busy);
    this.#tooNew = new Set(locked.tooNew);
    this.#busyKeys = new Set(locked.busyKeys?.map(({ userId, key }) => createScope(userId, key)));
    for (const session of locked.sessions) {
      this.#sessions.set(session.sessionId, session);
      this.#before.set(session.sessionId, session);
    }
    for (const { sessionId, commandType, commandId } of inbox.unfinished) {
      this.#unfinished.set(twinScope(sessionId, commandType), commandId);
    }
    for (const bound of inbox.bound) {
      this.#bound.set(scopeOf(bound.createsSession, bound.sessionId, bound.userId, bound.key), bound);
    }
  }

  get hasRows(): boolean {
    return this.#inbox.length > 0;
  }

  /** Puts events and outbox rows into (session, version) order, so that the ids of the latter ascend so: once, at the end. */
  rows(): WriteSet {
    const published = this.#published.toSorted((a, b) => compareEvents(a.event, b.event));
    return {
      inbox: this.#inbox,
      finished: this.#finished,
      events: published.map(({ event }) => event),
      outbox: published.map(({ row }) => row),
      sessions: [...this.#changed].flatMap((id) => this.#changeOf(id)),
    };
  }

  #changeOf(id: SessionId): readonly SessionChange[] {
    const [session, before] = [this.#sessions.get(id), this.#before.get(id)];
    if (session === undefined) return [];
    const sameData = session.confirmedData === before?.confirmedData;
    return [{ session, baseVersion: before?.version ?? 0, sameData }];
  }

  judge(request: CommandRequest): BatchOutcome {
    const { command } = request;
    if (command.type !== 'CreateSession') return this.#judgeForSession(request);
    if (this.#busyKeys.has(this.#keyScope(request) ?? '')) return { kind: 'deferred' };
    return this.#replay(request) ?? this.#accept(request, decideCreation(command.payload), null);
  }

  /** The order of the checks is the API's: 404, idempotency, 412, 409 duplicate, 409 state. */
  #judgeForSession(request: CommandRequest): BatchOutcome {
    const { command, sessionId, actor } = request;
    if (command.type === 'CreateSession') throw new Error('a CreateSession is for no session');
    // A session with a deferred command keeps its later ones of this batch waiting too: none overtakes it here.
    if (this.#waiting.has(sessionId)) return { kind: 'deferred' };
    const session = this.#sessions.get(sessionId);
    if (session === undefined || !mayTouch(actor, session)) return refuse({ code: 'SESSION_NOT_FOUND' });
    // A replay judges nothing: it is right even for a session whose state is not ours to judge by.
    const replay = this.#replay(request);
    if (replay !== null) return replay;
    if (this.#tooNew.has(sessionId)) return { kind: 'failed', error: tooNew() };
    const conflict = this.#conflict(request, session);
    if (conflict !== null) return conflict;
    const decision = decide(command, session, request.commandId);
    if (decision.kind === 'refused') return refuse(decision.refusal);
    if (this.#wouldTouchTwice(request, decision)) {
      this.#waiting.add(sessionId);
      return { kind: 'deferred' };
    }
    return this.#accept(request, decision, session);
  }

  #replay(request: CommandRequest): CommandOutcome | null {
    const bound = this.#bound.get(this.#keyScope(request) ?? '');
    if (bound === undefined) return null;
    return bound.fingerprint === request.idempotencyKey?.fingerprint
      ? { kind: 'accepted', answer: bound.answer, replayed: true }
      : refuse({ code: 'IDEMPOTENCY_KEY_REUSED' });
  }

  #keyScope(request: CommandRequest): string | null {
    const { idempotencyKey, sessionId, actor } = request;
    return idempotencyKey === null
      ? null
      : scopeOf(request.command.type === 'CreateSession', sessionId, actor.userId, idempotencyKey.key);
  }

  #conflict(request: CommandRequest, session: Session): CommandOutcome | null {
    if (request.expectedVersion !== null && request.expectedVersion !== session.version) {
      return refuse({ code: 'VERSION_MISMATCH', actualVersion: session.version });
    }
    const twin = this.#unfinished.get(twinScope(session.sessionId, request.command.type));
    return twin === undefined ? null : refuse({ code: 'DUPLICATE_COMMAND', duplicateCommandId: twin });
  }

  /** Rows are written table by table, each by one statement, and unique indexes can't be deferred: each row changes once at most. */
  #wouldTouchTwice(request: CommandRequest, acceptance: Acceptance): boolean {
    const reopens =
      acceptance.status === 'PROCESSING' && this.#ended.has(twinScope(request.sessionId, request.command.type));
    return reopens || (acceptance.ends !== null && this.#opened.has(acceptance.ends.requestId));
  }

  #accept(request: CommandRequest, acceptance: Acceptance, before: Session | null): CommandOutcome {
    const { destination, newId, generationTimeout } = this.#settings;
    const { session, events } = recordEvents(request, acceptance, before, this.#now, newId);
    const answer: Answer = {
      commandId: request.commandId,
      sessionId: request.sessionId,
      status: acceptance.status,
      version: session.version,
      session: before === null ? session : null,
    };
    this.#sessions.set(session.sessionId, session);
    this.#changed.add(session.sessionId);
    for (const event of events) {
      this.#published.push({ event, row: buildOutboxRow(event, request.traceparent, destination) });
    }
    this.#inbox.push({
      request,
      status: acceptance.status,
      answer,
      firstVersion: (before?.version ?? 0) + 1,
      lastVersion: session.version,
      deadline: acceptance.status === 'PROCESSING' ? this.#now + generationTimeout : null,
    });
    this.#noteEnd(request.sessionId, acceptance);
    if (acceptance.status === 'PROCESSING') this.#noteOpen(request);
    const scope = this.#keyScope(request);
    if (scope !== null && request.idempotencyKey !== null) {
      this.#bound.set(scope, { fingerprint: request.idempotencyKey.fingerprint, answer });
    }
    return { kind: 'accepted', answer, replayed: false };
  }

  #noteOpen(request: CommandRequest): void {
    this.#opened.add(request.commandId);
    this.#unfinished.set(twinScope(request.sessionId, request.command.type), request.commandId);
  }

  #noteEnd(sessionId: SessionId, { ends }: Acceptance): void {
    if (ends === null) return;
    // Only a RequestConceptGeneration waits for a later answer.
    const twins = twinScope(sessionId, 'RequestConceptGeneration');
    this.#unfinished.delete(twins);
    this.#ended.add(twins);
    this.#finished.push({
      commandId: ends.requestId,
      status: ends.failedBecause === null ? 'COMPLETED' : 'FAILED',
      errorMessage: ends.failedBecause,
    });
  }
}

function mayTouch(actor: CommandRequest['actor'], session: Session): boolean {
  return actor.role !== 'author' || session.userId === actor.userId;
}

function tooNew(): GenesisError {
  const why = 'The session holds events of a newer version of this service, which is still being rolled out.';
  return new GenesisError('UNAVAILABLE', `${why} Nothing was written; try again.`);
}

function refuse(refusal: CommandRefusal): CommandOutcome {
  return { kind: 'refused', refusal };
}

function compareEvents(a: EventRecord, b: EventRecord): number {
  if (a.aggregateId === b.aggregateId) return a.aggregateVersion - b.aggregateVersion;
  return a.aggregateId < b.aggregateId ? -1 : 1;
}

/** The scope of a key as one string. JSON keeps the parts apart whatever they contain. */
function scopeOf(createdSession: boolean, sessionId: SessionId, userId: UserId, key: string): string {
  return createdSession ? createScope(userId, key) : JSON.stringify([sessionId, userId, key]);
}

function createScope(userId: UserId, key: string): string {
  return JSON.stringify([null, userId, key]);
}

function twinScope(sessionId: SessionId, type: string): string {
  return `${sessionId} ${type}`;
}
