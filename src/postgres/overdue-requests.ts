import type { OverduePage, OverduePlace, OverdueRequests } from '../commands/ports.ts';
import type { CommandId, SessionId } from '../genesis/ids.ts';
import type { Read } from './read.ts';
import { sql } from './sql.ts';

const FIND_OVERDUE = { name: 'find-overdue', text: sql('commands/find-overdue') };

const BEFORE_ALL: OverduePlace = {
  deadline: '-infinity',
  requestId: '00000000-0000-0000-0000-000000000000' as CommandId,
};

interface WaitingRow {
  readonly id: CommandId;
  readonly session_id: SessionId;
  /** The deadline as the database writes it: with its microseconds. */
  readonly due: string;
  /** Milliseconds until the deadline. */
  readonly remaining: number;
}

/** OverdueRequests on command_inbox. */
export function createOverdueRequests(read: Read): OverdueRequests {
  return {
    async find(after, limit) {
      const { deadline, requestId } = after ?? BEFORE_ALL;
      const rows = await read<WaitingRow>(FIND_OVERDUE, [deadline, requestId, limit]);
      return toPage(rows, limit);
    },
  };
}

function toPage(rows: readonly WaitingRow[], limit: number): OverduePage {
  const overdue = rows.filter((row) => row.remaining <= 0);
  const last = overdue.at(-1);
  return {
    overdue: overdue.map((row) => ({ requestId: row.id, sessionId: row.session_id })),
    next: last !== undefined && overdue.length === limit ? placeOf(last) : null,
    nextDueIn: rows[overdue.length]?.remaining ?? null,
  };
}

function placeOf({ due, id }: WaitingRow): OverduePlace {
  return { deadline: due, requestId: id };
}
