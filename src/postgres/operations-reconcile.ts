import type { Pool } from 'pg';
import type { SessionId } from '../genesis/ids.ts';
import type { LoggedEvent, OutboxPlace, PlacedEvent, ReconcileStore, RowFacts } from '../operations/ports.ts';
import type { OutboxStatus } from '../outbox/outbox-row.ts';
import { translate } from './errors.ts';
import { toHistoryEvent, type HistoryEventRow } from './history-event-row.ts';
import { sql } from './sql.ts';

const EVENTS_AFTER = { name: 'reconcile-events-after', text: sql('operations/events-after') };
const EVENTS_AT = { name: 'reconcile-events-at', text: sql('operations/events-at') };
const ROWS_AFTER = { name: 'reconcile-rows-after', text: sql('operations/rows-after') };
const ROWS_OF = { name: 'reconcile-rows-of', text: sql('operations/rows-of') };
const CLOCK = { name: 'reconcile-clock', text: 'SELECT clock_timestamp() AS now' };
const LAST_SETTLED = {
  name: 'reconcile-last-settled',
  text: `SELECT coalesce(
    (SELECT min(id) - 1 FROM event_outbox WHERE status IN ('PENDING', 'FAILED') OR (status = 'DISCARDED' AND sent_at IS NULL)),
    (SELECT max(id) FROM event_outbox), 0)::float8 AS id`,
};
const COUNT = {
  name: 'reconcile-count',
  text: `SELECT greatest(reltuples, 0)::float8 AS events FROM pg_class WHERE oid = 'domain_events'::regclass`,
};

const NO_SESSION = '00000000-0000-0000-0000-000000000000';
/** Bytes of payload that one page of events carries, unless its first event alone has more. */
const PAGE_BYTES = 4 * 1024 * 1024;

/** What `genesis reconcile` reads. One connection is enough. */
export function createReconcileStore(pool: Pool): ReconcileStore {
  const read = async <Row extends object>(
    statement: { readonly name: string; readonly text: string },
    values: readonly unknown[],
  ): Promise<readonly Row[]> => {
    try {
      return (await pool.query<Row>({ ...statement, values: [...values] })).rows;
    } catch (error) {
      throw translate(error);
    }
  };
  return {
    clock: async () => (await read<{ now: Date }>(CLOCK, [])).at(0)?.now.getTime() ?? Number.NaN,
    countEvents: async () => (await read<{ events: number }>(COUNT, [])).at(0)?.events ?? 0,
    async eventsAfter(after, limit) {
      const place = [after?.sessionId ?? NO_SESSION, after?.sequence ?? 0];
      return (await read<LoggedRow>(EVENTS_AFTER, [...place, limit, PAGE_BYTES])).map(toLogged);
    },
    async eventsAt(places) {
      const columns = [places.map(({ sessionId }) => sessionId), places.map(({ sequence }) => sequence)];
      return (await read<PlacedRow>(EVENTS_AT, columns)).map(toPlaced);
    },
    lastSettled: async () => (await read<{ id: number }>(LAST_SETTLED, [])).at(0)?.id ?? 0,
    async rowsAfter(after, limit) {
      type Page = { readonly oldest: string; readonly next: string; readonly rows: readonly OutboxRow[] | null };
      const [page] = await read<Page>(ROWS_AFTER, [after, limit]);
      if (page === undefined) throw new Error('a page of the outbox is one row');
      return { rows: (page.rows ?? []).map(toPlace), oldest: BigInt(page.oldest), next: BigInt(page.next) };
    },
    rowsOf: async (ids) => (await read<OutboxRow>(ROWS_OF, [ids])).map(toPlace),
  };
}

interface RowColumns {
  readonly row_id: number | null;
  readonly topic: string | null;
  readonly status: OutboxStatus | null;
  readonly partition: number | null;
  readonly offset: string | null;
  readonly sent_at: number | null;
}

type LoggedRow = HistoryEventRow & RowColumns;

interface PlacedRow extends LoggedRow {
  readonly before_event_id: string | null;
  readonly before_row_id: number | null;
  readonly before_topic: string | null;
  readonly before_status: OutboxStatus | null;
  readonly before_partition: number | null;
  readonly before_offset: string | null;
  readonly before_sent_at: number | null;
}

interface OutboxRow {
  readonly id: number;
  readonly topic: string;
  readonly key: SessionId;
  readonly sequence: number;
  readonly event_id: string;
  readonly status: OutboxStatus;
  readonly partition: number | null;
  readonly offset: string | null;
  readonly sent_at: number | null;
}

function toFacts({ row_id: id, topic, status, partition, offset, sent_at: sentAt }: RowColumns): RowFacts | null {
  if (id === null || topic === null || status === null) return null;
  return { id, topic, status, partition, offset: offset === null ? null : BigInt(offset), sentAt };
}

function toLogged(row: LoggedRow): LoggedEvent {
  return { event: toHistoryEvent(row), row: toFacts(row) };
}

function toPlaced(row: PlacedRow): PlacedEvent {
  const before = toFacts({
    row_id: row.before_row_id,
    topic: row.before_topic,
    status: row.before_status,
    partition: row.before_partition,
    offset: row.before_offset,
    sent_at: row.before_sent_at,
  });
  const previous = row.before_event_id === null ? null : { eventId: row.before_event_id, row: before };
  return { ...toLogged(row), previous };
}

function toPlace({ id, topic, key, sequence, event_id, status, partition, offset, sent_at }: OutboxRow): OutboxPlace {
  return {
    id,
    topic,
    sessionId: key,
    sequence,
    eventId: event_id,
    status,
    partition,
    offset: offset === null ? null : BigInt(offset),
    sentAt: sent_at,
  };
}
