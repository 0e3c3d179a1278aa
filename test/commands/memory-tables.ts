import type {
  CreateKey,
  FinishedCommand,
  InboxQuery,
  InboxRow,
  InboxState,
  SessionChange,
  WriteSet,
} from '../../src/commands/ports.ts';
import type { EventRecord } from '../../src/genesis/events.ts';
import type { SessionId } from '../../src/genesis/ids.ts';
import type { Session } from '../../src/genesis/session.ts';
import type { NewOutboxRow } from '../../src/outbox/outbox-row.ts';

/** A row of command_inbox. */
export interface StoredCommand extends Pick<
  InboxRow,
  'request' | 'answer' | 'firstVersion' | 'lastVersion' | 'deadline'
> {
  status: InboxRow['status'] | FinishedCommand['status'];
  errorMessage: string | null;
}

export interface StoredOutboxRow extends NewOutboxRow {
  readonly id: number;
}

/** The four tables with the rules that the migrations give them. Rows are kept as a database would give them back: through JSON. */
export class MemoryTables {
  readonly inbox: StoredCommand[] = [];
  readonly events: EventRecord[] = [];
  readonly outbox: StoredOutboxRow[] = [];
  readonly sessions = new Map<SessionId, Session>();

  session(id: SessionId): Session | undefined {
    const session = this.sessions.get(id);
    return session === undefined ? undefined : throughJson(session);
  }

  eventsOf(id: SessionId): readonly EventRecord[] {
    return this.events
      .filter((event) => event.aggregateId === id)
      .toSorted((a, b) => a.aggregateVersion - b.aggregateVersion);
  }

  readInbox({ sessionIds, sessionKeys, createKeys }: InboxQuery): InboxState {
    const unfinished = this.inbox
      .filter(({ status, request }) => status === 'PROCESSING' && sessionIds.includes(request.sessionId))
      .map(({ request }) => ({
        commandId: request.commandId,
        sessionId: request.sessionId,
        commandType: request.command.type,
      }));
    const bound = this.inbox.flatMap(({ request, answer }) => {
      const { idempotencyKey, sessionId, actor, command } = request;
      if (idempotencyKey === null) return [];
      const createsSession = command.type === 'CreateSession';
      const scope = { userId: actor.userId, key: idempotencyKey.key };
      const asked = createsSession
        ? createKeys.some((key) => sameKey(key, scope))
        : sessionKeys.some((key) => key.sessionId === sessionId && sameKey(key, scope));
      return asked ? [{ ...scope, ...idempotencyKey, sessionId, createsSession, answer: throughJson(answer) }] : [];
    });
    return { unfinished, bound };
  }

  /** @throws Error if the rows break a constraint, judged as one statement: its parts see nothing of each other. */
  check(rows: WriteSet): void {
    this.#checkInbox(rows);
    this.#checkFinished(rows);
    for (const change of rows.sessions) this.#checkSession(change);
    unique('genesis_sessions', rows.sessions, ({ session }) => session.sessionId);
    unique('domain_events_pkey', [...this.events, ...rows.events], (e) => `${e.aggregateId} ${e.aggregateVersion}`);
    unique('domain_events_event_id', [...this.events, ...rows.events], (event) => event.eventId);
    unique('event_outbox_key_sequence', [...this.outbox, ...rows.outbox], (row) => `${row.key} ${row.sequence}`);
  }

  apply(rows: WriteSet): void {
    this.check(rows);
    this.inbox.push(...rows.inbox.map((row) => ({ ...throughJson(row), errorMessage: null })));
    for (const { commandId, status, errorMessage } of rows.finished) {
      const stored = this.inbox.find(({ request }) => request.commandId === commandId);
      if (stored !== undefined) Object.assign(stored, { status, errorMessage });
    }
    for (const { session } of rows.sessions) this.sessions.set(session.sessionId, throughJson(session));
    this.events.push(...throughJson(rows.events));
    for (const row of rows.outbox) this.outbox.push({ ...throughJson(row), id: this.outbox.length + 1 });
  }

  #checkInbox({ inbox }: WriteSet): void {
    const all = [...this.inbox, ...inbox];
    const keyed = all.filter(({ request }) => request.idempotencyKey !== null).map(({ request }) => request);
    const creates = (request: InboxRow['request']) => request.command.type === 'CreateSession';
    const keyOf = ({ actor, idempotencyKey }: InboxRow['request']) => `${actor.userId} ${idempotencyKey?.key}`;
    unique('command_inbox_pkey', all, ({ request }) => request.commandId);
    // Rows that the same write finishes are still unfinished to this index.
    unique(
      'command_inbox_unfinished',
      all.filter(({ status }) => status === 'PROCESSING'),
      ({ request }) => `${request.sessionId} ${request.command.type}`,
    );
    unique('command_inbox_create_key', keyed.filter(creates), keyOf);
    unique(
      'command_inbox_idempotency_key',
      keyed.filter((request) => !creates(request)),
      (request) => `${request.sessionId} ${keyOf(request)}`,
    );
  }

  #checkFinished({ finished }: WriteSet): void {
    unique('command_inbox, finished', finished, ({ commandId }) => commandId);
    for (const { commandId, status, errorMessage } of finished) {
      const stored = this.inbox.find(({ request }) => request.commandId === commandId);
      if (stored?.status !== 'PROCESSING') throw new Error(`command ${commandId} is not PROCESSING`);
      if ((status === 'FAILED') !== (errorMessage !== null))
        throw new Error(`command ${commandId}: message and ${status}`);
    }
  }

  #checkSession({ session, baseVersion }: SessionChange): void {
    const version = this.sessions.get(session.sessionId)?.version ?? 0;
    if (version !== baseVersion) throw new Error(`session ${session.sessionId} is at ${version}, not ${baseVersion}`);
  }
}

function sameKey(a: CreateKey, b: CreateKey): boolean {
  return a.userId === b.userId && a.key === b.key;
}

function unique<Row>(index: string, rows: readonly Row[], key: (row: Row) => string): void {
  const seen = new Set<string>();
  for (const value of rows.map(key)) {
    if (seen.has(value)) throw new Error(`${index}: '${value}' exists`);
    seen.add(value);
  }
}

function throughJson<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}
