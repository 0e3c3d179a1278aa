import type { CausedEventFacts, CommandRecord, CommandStatus, OutboxFacts, Queries } from '../events/ports.ts';
import type { CommandType } from '../genesis/commands.ts';
import type { CommandId, EventId, SessionId } from '../genesis/ids.ts';
import type { OutboxStatus } from '../outbox/outbox-row.ts';
import { octetsOf, toStoredEvent, type MeasuredEventRow } from './event-row.ts';
import type { Read } from './read.ts';
import { toSession, type SessionRow } from './session-row.ts';
import { sql } from './sql.ts';

const LIST_OWN_SESSIONS = { name: 'list-own-sessions', text: sql('sessions/list-own') };
const LIST_ALL_SESSIONS = { name: 'list-all-sessions', text: sql('sessions/list-all') };
const LIST_COMMANDS = { name: 'list-commands', text: sql('commands-read/list') };
const READ_COMMAND = { name: 'read-command', text: sql('commands-read/read') };
const CAUSED_EVENTS = { name: 'caused-events', text: sql('commands-read/caused-events') };
const HISTORY = { name: 'history', text: sql('events/history') };

/** Above every UUIDv7. */
const NEWEST = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** Most bytes of payload in one answer about a session's history. */
const MAX_HISTORY_BYTES = 4 * 1024 * 1024;

export function createQueries(read: Read): Queries {
  return {
    async listSessions({ userId, status, currentStage, before, limit }) {
      const rest = [before ?? NEWEST, status, currentStage, limit];
      const rows =
        userId === null
          ? await read<SessionRow>(LIST_ALL_SESSIONS, rest)
          : await read<SessionRow>(LIST_OWN_SESSIONS, [userId, ...rest]);
      return rows.map(toSession);
    },
    async listCommands({ sessionId, status, commandType, before, limit }) {
      const rows = await read<CommandRow>(LIST_COMMANDS, [sessionId, before ?? NEWEST, status, commandType, limit]);
      return withEvents(read, sessionId, rows);
    },
    async readCommand(sessionId, commandId) {
      const rows = await read<CommandRow>(READ_COMMAND, [commandId, sessionId]);
      const [command] = await withEvents(read, sessionId, rows);
      return command ?? null;
    },
    async readHistory(sessionId, after, limit) {
      const rows = await read<MeasuredEventRow>(HISTORY, [sessionId, after, limit + 1, MAX_HISTORY_BYTES]);
      const more = rows.length > limit || octetsOf(rows) >= MAX_HISTORY_BYTES;
      return { events: rows.slice(0, limit).map(toStoredEvent), more };
    },
  };
}

interface CommandRow {
  readonly id: CommandId;
  readonly session_id: SessionId;
  readonly command_type: CommandType;
  readonly status: CommandStatus;
  readonly error_message: string | null;
  readonly first_version: number;
  readonly last_version: number;
  readonly created_at: Date;
  readonly updated_at: Date;
}

/** The outbox columns are all null when its row is gone. */
interface CausedEventRow {
  /** Which command of the page, from 1. */
  readonly n: number;
  readonly event_id: EventId;
  readonly event_type: string;
  readonly aggregate_version: number;
  readonly status: OutboxStatus | null;
  readonly topic: string | null;
  readonly partition: number | null;
  /** bigint: the driver gives text. */
  readonly offset: string | null;
  readonly sent_at: Date | null;
  readonly retry_count: number | null;
  readonly last_error: string | null;
  readonly blocked_by: EventId | null;
}

/** Completes commands of one session by their events: one statement for all of them. */
async function withEvents(
  read: Read,
  sessionId: SessionId,
  commands: readonly CommandRow[],
): Promise<readonly CommandRecord[]> {
  if (commands.length === 0) return [];
  const firsts = commands.map((command) => command.first_version);
  const lasts = commands.map((command) => command.last_version);
  const rows = await read<CausedEventRow>(CAUSED_EVENTS, [sessionId, firsts, lasts]);
  const eventsOf = Map.groupBy(rows, ({ n }) => n);
  return commands.map((command, index) => toCommand(command, eventsOf.get(index + 1) ?? []));
}

function toCommand(row: CommandRow, events: readonly CausedEventRow[]): CommandRecord {
  return {
    commandId: row.id,
    sessionId: row.session_id,
    commandType: row.command_type,
    status: row.status,
    errorMessage: row.error_message,
    createdAt: row.created_at.getTime(),
    updatedAt: row.updated_at.getTime(),
    events: events.map(toCausedEvent),
  };
}

function toCausedEvent(row: CausedEventRow): CausedEventFacts {
  const { event_id: eventId, event_type: eventType, aggregate_version: aggregateVersion } = row;
  return { eventId, eventType, aggregateVersion, outbox: toOutbox(row) };
}

function toOutbox(row: CausedEventRow): OutboxFacts | null {
  const { status, topic, retry_count: retryCount } = row;
  if (status === null || topic === null || retryCount === null) return null;
  return {
    status,
    topic,
    partition: row.partition,
    offset: row.offset === null ? null : Number(row.offset),
    sentAt: row.sent_at?.getTime() ?? null,
    retryCount,
    lastError: row.last_error,
    blockedBy: row.blocked_by,
  };
}
