import type { Pool, PoolClient } from 'pg';
import type {
  AuditedEvent,
  AuditSnapshot,
  AuditStore,
  LockedProjection,
  Projection,
  ProjectionStore,
  StrayRow,
  SuspectCommand,
} from '../events/ports.ts';
import type { CommandId, SessionId } from '../genesis/ids.ts';
import type { OutboxStatus } from '../outbox/outbox-row.ts';
import { timestamp } from '../outbox/envelope.ts';
import { streamRows } from './cursor.ts';
import { errorCode, translate } from './errors.ts';
import { toHistoryEvent, type HistoryEventRow } from './history-event-row.ts';
import { toSession, type SessionRow } from './session-row.ts';
import { sql } from './sql.ts';

const SESSIONS_AFTER = sql('audit/sessions-after');
const PROJECTIONS = sql('audit/projections');
const SUSPECT_COMMANDS = sql('audit/suspect-commands');
const EVENTS = sql('audit/events');
const STRAY_ROWS = sql('audit/stray-rows');
const STRAY_ROWS_OF_SESSION = sql('audit/stray-rows-of-session');
const LOCK = sql('projection/lock');
const EVENTS_OF_SESSION = sql('projection/events');
const UPDATE = sql('projection/update');
const INSERT = sql('projection/insert');

/** lock_not_available: lock_timeout. */
const LOCK_TIMEOUT = '55P03';

/** The tables, side by side, for `genesis verify` and `genesis rebuild`. One connection at a time is enough. */
export function createAuditStore(pool: Pool): AuditStore & ProjectionStore {
  const read = async <Row extends object>(text: string, values: readonly unknown[]): Promise<readonly Row[]> => {
    try {
      return (await pool.query<Row>(text, [...values])).rows;
    } catch (error) {
      throw translate(error);
    }
  };
  return {
    async countSessions() {
      const [row] = await read<{ sessions: number }>('SELECT count(*)::float8 AS sessions FROM genesis_sessions', []);
      return row?.sessions ?? 0;
    },
    inSnapshot: (look) =>
      inTransaction(pool, 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', async (client) => {
        const { rows } = await client.query<{ now: Date }>('SELECT now() AS now');
        return look(new Snapshot(client, rows[0]?.now.getTime() ?? Number.NaN));
      }),
    async strayRows(after, limit) {
      type Page = { readonly last: number | null; readonly rows: readonly StrayRow[] | null };
      const [page] = await read<Page>(STRAY_ROWS, [after, limit]);
      return { rows: page?.rows ?? [], last: page?.last ?? null };
    },
    strayRowsOf: (sessionId) => read<StrayRow>(STRAY_ROWS_OF_SESSION, [sessionId]),
    mend: (sessionId, work) => mend(pool, sessionId, work),
  };
}

class Snapshot implements AuditSnapshot {
  readonly #client: PoolClient;
  readonly now: number;

  constructor(client: PoolClient, now: number) {
    this.#client = client;
    this.now = now;
  }

  async sessionsAfter(after: SessionId | null, limit: number): Promise<readonly SessionId[]> {
    const { rows } = await this.#client.query<{ session_id: SessionId }>(SESSIONS_AFTER, [after, limit]);
    return rows.map((row) => row.session_id);
  }

  async projections(sessionIds: readonly SessionId[]): Promise<readonly Projection[]> {
    const { rows } = await this.#client.query<ProjectionRow>(PROJECTIONS, [sessionIds]);
    return rows.map(toProjection);
  }

  async suspectCommands(sessionIds: readonly SessionId[]): Promise<readonly SuspectCommand[]> {
    const { rows } = await this.#client.query<SuspectRow>(SUSPECT_COMMANDS, [sessionIds]);
    return rows.map((row) => ({
      commandId: row.id,
      sessionId: row.session_id,
      unfinished: row.unfinished,
      firstVersion: row.first_version,
      lastVersion: row.last_version,
      versionsExist: row.versions_exist,
    }));
  }

  async *events(sessionIds: readonly SessionId[]): AsyncGenerator<readonly AuditedEvent[]> {
    for await (const rows of streamRows<AuditedRow>(this.#client, EVENTS, [sessionIds])) yield rows.map(toAuditedEvent);
  }
}

async function mend(
  pool: Pool,
  sessionId: SessionId,
  work: (locked: LockedProjection) => Promise<Projection | null>,
): Promise<'done' | 'busy'> {
  try {
    return await inTransaction(pool, 'BEGIN', async (client) => {
      const { rowCount } = await client.query(LOCK, [sessionId]);
      const projection = await work({ events: () => eventsOf(client, sessionId) });
      if (projection === null) return 'done';
      const written = await client.query(rowCount === 0 ? INSERT : UPDATE, columnsOf(projection));
      return written.rowCount === 1 ? 'done' : 'busy';
    });
  } catch (error) {
    if (error instanceof Error && errorCode(error.cause) === LOCK_TIMEOUT) return 'busy';
    throw error;
  }
}

async function* eventsOf(client: PoolClient, sessionId: SessionId): ReturnType<LockedProjection['events']> {
  for await (const rows of streamRows<HistoryEventRow>(client, EVENTS_OF_SESSION, [sessionId])) {
    yield rows.map(toHistoryEvent);
  }
}

/** @throws GenesisError UNAVAILABLE, TransactionConflict, or whatever `work` throws; then everything is rolled back. */
async function inTransaction<Result>(
  pool: Pool,
  begin: string,
  work: (client: PoolClient) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect().catch((error: unknown) => {
    throw translate(error);
  });
  let broken = true;
  // A connection that breaks between two statements says so here; without a listener it would end the process.
  const ignore = () => undefined;
  client.on('error', ignore);
  try {
    await client.query(begin);
    const result = await work(client);
    await client.query('COMMIT');
    broken = false;
    return result;
  } catch (error) {
    throw translate(error);
  } finally {
    client.off('error', ignore);
    // A connection whose work failed is not used again: the server rolls back when it closes.
    client.release(broken);
  }
}

interface ProjectionRow extends Omit<SessionRow, 'created_at' | 'updated_at'> {
  readonly schema_level: number;
  readonly created_at: number;
  readonly updated_at: number;
}

function toProjection({ schema_level, created_at, updated_at, ...row }: ProjectionRow): Projection {
  const session = toSession({ ...row, created_at: new Date(created_at), updated_at: new Date(updated_at) });
  // A Date has no fraction of a millisecond; a row that was changed by hand may.
  return { session: { ...session, createdAt: created_at, updatedAt: updated_at }, schemaLevel: schema_level };
}

function columnsOf({ session, schemaLevel }: Projection): unknown[] {
  return [
    session.sessionId,
    session.userId,
    session.status,
    session.currentStage,
    session.title,
    session.idea,
    JSON.stringify(session.confirmedData),
    session.version,
    session.lastEventId,
    session.outstandingRequest?.requestId ?? null,
    session.outstandingRequest?.eventId ?? null,
    schemaLevel,
    timestamp(session.createdAt),
    timestamp(session.updatedAt),
  ];
}

interface SuspectRow {
  readonly id: CommandId;
  readonly session_id: SessionId;
  readonly unfinished: boolean;
  readonly first_version: number;
  readonly last_version: number;
  readonly versions_exist: boolean;
}

interface OutboxColumns {
  readonly status: OutboxStatus;
  readonly shard: number;
  readonly value: string;
  readonly headers: string;
  readonly stuck: boolean;
}

type AuditedRow = HistoryEventRow & (OutboxColumns | { readonly status: null });

function toAuditedEvent(row: AuditedRow): AuditedEvent {
  const event = toHistoryEvent(row);
  if (row.status === null) return { event, outbox: null };
  const { status, shard, headers, stuck, value: payload } = row;
  return { event, outbox: { status, shard, payload, headers, stuck } };
}
