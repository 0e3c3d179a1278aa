import type { Pool } from 'pg';
import type { EventRecord } from '../genesis/events.ts';
import type { EventId } from '../genesis/ids.ts';
import type { Place, RepublishStore, SelectedPage, Selection } from '../operations/ports.ts';
import { timestamp } from '../outbox/envelope.ts';
import { translate } from './errors.ts';
import { toHistoryEvent, type HistoryEventRow } from './history-event-row.ts';
import { sql } from './sql.ts';

const SELECT = sql('operations/select-events');
const COUNT = `
SELECT count(*)::float8 AS events FROM domain_events
WHERE ($1::uuid IS NULL OR aggregate_id = $1)
  AND created_at >= coalesce($2::timestamptz, '-infinity') AND created_at < coalesce($3::timestamptz, 'infinity')`;
const IS_LIVE = 'SELECT EXISTS (SELECT FROM event_outbox WHERE topic = $1) AS live';

const NO_SESSION = '00000000-0000-0000-0000-000000000000';
/** Events of a page, and bytes of their payloads: what one send may carry even if all goes to one partition. */
const PAGE = 500;
const PAGE_BYTES = 500_000;

/** What `genesis republish` reads. One connection is enough. */
export function createRepublishStore(pool: Pool): RepublishStore {
  const read = async <Row extends object>(text: string, values: readonly unknown[]): Promise<readonly Row[]> => {
    try {
      return (await pool.query<Row>(text, [...values])).rows;
    } catch (error) {
      throw translate(error);
    }
  };
  return {
    async count({ sessionId, since, until }) {
      return (await read<{ events: number }>(COUNT, [sessionId, timeOf(since), timeOf(until)])).at(0)?.events ?? 0;
    },
    async select(selection, after) {
      return toPage(await read<SelectedRow>(SELECT, parametersOf(selection, after)));
    },
    isLive: async (topic) => (await read<{ live: boolean }>(IS_LIVE, [topic])).at(0)?.live ?? false,
  };
}

function parametersOf({ sessionId, since, until }: Selection, after: Place | null): readonly unknown[] {
  const place = [after?.sessionId ?? NO_SESSION, after?.sequence ?? 0];
  return [...place, PAGE, PAGE_BYTES, sessionId, timeOf(since), timeOf(until)];
}

function timeOf(milliseconds: number | null): string | null {
  return milliseconds === null ? null : timestamp(milliseconds);
}

interface SelectedRow extends Omit<HistoryEventRow, 'payload'> {
  /** Null: not wanted. */
  readonly payload: string | null;
  readonly previous: EventId | null;
  readonly discarded: boolean;
}

function toPage(rows: readonly SelectedRow[]): SelectedPage {
  const events = rows.flatMap(({ previous, discarded, payload, ...row }) => {
    if (payload === null) return [];
    // The wire knows nothing of what types there are: a newer program's event is encoded like any other.
    return [{ event: { ...toHistoryEvent({ ...row, payload }), previous } as EventRecord, discarded }];
  });
  const last = rows.at(-1);
  return {
    events,
    last: last === undefined ? null : { sessionId: last.aggregate_id, sequence: last.aggregate_version },
  };
}
