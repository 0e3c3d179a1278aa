import { hash } from 'node:crypto';
import { DatabaseSync, type StatementSync } from 'node:sqlite';

/** What a client was told about one command. */
export interface ClientEntry {
  readonly commandId: string;
  readonly sessionId: string;
  /** `refused` promises that nothing was written; `unknown` promises nothing. */
  readonly outcome: 'accepted' | 'refused' | 'unknown';
  /** The session's version after the command; null unless accepted. */
  readonly version: number | null;
}

export interface InboxEntry {
  readonly commandId: string;
  readonly sessionId: string;
  readonly firstVersion: number;
  readonly lastVersion: number;
}

export interface EventEntry {
  readonly eventId: string;
  readonly sessionId: string;
  readonly version: number;
}

export interface OutboxEntry {
  readonly id: number;
  readonly eventId: string;
  readonly key: string;
  readonly sequence: number;
  readonly shard: number;
  readonly status: string;
  readonly payload: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly sent: boolean;
  readonly partition: number | null;
  readonly offset: number | null;
}

export interface TopicEntry {
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: ReadonlyMap<string, string>;
}

const TABLES = `
  CREATE TABLE client (command_id TEXT PRIMARY KEY, session_id TEXT, outcome TEXT, version INTEGER) WITHOUT ROWID;
  CREATE TABLE inbox (command_id TEXT PRIMARY KEY, session_id TEXT, first_version INTEGER, last_version INTEGER) WITHOUT ROWID;
  CREATE TABLE events (session_id TEXT, version INTEGER, event_id TEXT, PRIMARY KEY (session_id, version)) WITHOUT ROWID;
  CREATE TABLE outbox (id INTEGER PRIMARY KEY, event_id TEXT, key TEXT, sequence INTEGER, shard INTEGER, status TEXT,
    payload TEXT, headers TEXT, sent INTEGER, partition INTEGER, "offset" INTEGER);
  CREATE TABLE records (partition INTEGER, "offset" INTEGER, key TEXT, event_id TEXT, sequence INTEGER,
    value TEXT, headers TEXT, discarded INTEGER, PRIMARY KEY (partition, "offset")) WITHOUT ROWID;
`;
const INDEXES = `
  CREATE INDEX outbox_event ON outbox (event_id);
  CREATE INDEX outbox_key ON outbox (key, sequence);
  CREATE INDEX records_event ON records (event_id);
  CREATE INDEX records_key ON records (key, sequence, "offset");
`;

/**
 * Everything that a run left behind: what clients were told, what is in the tables, what is in the topic. In a file, so that
 * memory stays bounded however long the run was; values and headers as hashes.
 */
export class Evidence {
  readonly database: DatabaseSync;
  readonly #insert: Readonly<Record<'client' | 'inbox' | 'events' | 'outbox' | 'records', StatementSync>>;
  #sealed = false;

  /** @param path File of its own; `:memory:` for a test. */
  constructor(path: string) {
    this.database = new DatabaseSync(path);
    this.database.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;');
    this.database.exec(TABLES);
    const prepare = (table: string, columns: number): StatementSync =>
      this.database.prepare(`INSERT OR REPLACE INTO ${table} VALUES (${Array(columns).fill('?').join(', ')})`);
    this.#insert = {
      client: prepare('client', 4),
      inbox: prepare('inbox', 4),
      events: prepare('events', 3),
      outbox: prepare('outbox', 11),
      records: prepare('records', 8),
    };
    this.database.exec('BEGIN');
  }

  addClient({ commandId, sessionId, outcome, version }: ClientEntry): void {
    this.#insert.client.run(commandId, sessionId, outcome, version);
  }

  addInbox({ commandId, sessionId, firstVersion, lastVersion }: InboxEntry): void {
    this.#insert.inbox.run(commandId, sessionId, firstVersion, lastVersion);
  }

  addEvent({ eventId, sessionId, version }: EventEntry): void {
    this.#insert.events.run(sessionId, version, eventId);
  }

  addOutbox(row: OutboxEntry): void {
    const { id, eventId, key, sequence, shard, status, payload, headers, sent, partition, offset } = row;
    const hashes = [digest(payload), digestHeaders(Object.entries(headers))] as const;
    this.#insert.outbox.run(...[id, eventId, key, sequence, shard, status, ...hashes, sent ? 1 : 0, partition, offset]);
  }

  addRecord({ partition, offset, key, value, headers }: TopicEntry): void {
    const discarded = headers.get('discarded') === 'true';
    const own = [...headers].filter(([name]) => !discarded || name !== 'discarded');
    this.#insert.records.run(
      ...[partition, offset, key, headers.get('ce_id') ?? null, Number(headers.get('sequence') ?? -1)],
      ...[value === null ? null : digest(value), digestHeaders(own), discarded ? 1 : 0],
    );
  }

  /** After the last entry: makes it fit to be asked. */
  seal(): void {
    if (this.#sealed) return;
    this.#sealed = true;
    this.database.exec(`COMMIT; ${INDEXES} ANALYZE;`);
  }

  count(table: 'client' | 'inbox' | 'events' | 'outbox' | 'records', where = 'true'): number {
    const row = this.database.prepare(`SELECT count(*) AS n FROM ${table} WHERE ${where}`).get();
    return Number(row?.['n'] ?? 0);
  }

  close(): void {
    this.database.close();
  }
}

function digest(text: string): string {
  return hash('sha1', text, 'base64');
}

/** The order of headers means nothing. */
function digestHeaders(headers: readonly (readonly [string, string])[]): string {
  return digest(JSON.stringify(headers.toSorted(([a], [b]) => (a < b ? -1 : 1))));
}
