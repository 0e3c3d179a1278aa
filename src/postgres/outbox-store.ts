import type { EventId, SessionId } from '../genesis/ids.ts';
import type { RecordHeaders } from '../outbox/outbox-row.ts';
import type { ClaimedRow, OutboxStore } from '../relay/ports.ts';
import { sql } from './sql.ts';

const CLAIM = sql('outbox/claim');
const MARK_SENT = sql('outbox/mark-sent');
const SCHEDULE_RETRY = sql('outbox/schedule-retry');
const MARK_FAILED = sql('outbox/mark-failed');
const STILL_PENDING = sql('outbox/still-pending');
const NEXT_RETRY = sql('outbox/next-retry');

/** Most bytes of payload in one claim: what a relay holds in memory. */
const MAX_CLAIM_BYTES = 16 * 1024 * 1024;

/** Runs a statement on the connection that holds the lease. Fails with LeaseLost once that is gone. */
export type LeasedQuery = <Row>(text: string, values: readonly unknown[]) => Promise<readonly Row[]>;

interface IdRecord {
  /** bigint: the driver gives text. */
  readonly id: string;
}

interface OutboxRecord extends IdRecord {
  readonly event_id: EventId;
  readonly topic: string;
  readonly key: SessionId;
  readonly shard: number;
  readonly sequence: number;
  readonly payload: string;
  readonly headers: RecordHeaders;
  readonly retry_count: number;
  readonly max_retries: number;
  readonly created_at: number;
}

export function createOutboxStore(query: LeasedQuery): OutboxStore {
  const stillPending = async (ids: readonly number[]): Promise<readonly number[]> => {
    const rows = await query<IdRecord>(STILL_PENDING, [ids]);
    return rows.map(({ id }) => Number(id));
  };
  /** Changes one row; false if it could not because somebody else has it locked. */
  const change = async (text: string, id: number, values: readonly unknown[]): Promise<boolean> => {
    const changed = await query<IdRecord>(text, [id, ...values]);
    return changed.length > 0 || (await stillPending([id])).length === 0;
  };
  return {
    async claim(limit, except = []) {
      const rows = await query<OutboxRecord>(CLAIM, [limit, MAX_CLAIM_BYTES, except]);
      return rows.map(toClaimedRow);
    },
    async markSent(sent) {
      const ids = sent.map(({ id }) => id);
      const columns = [ids, sent.map(({ partition }) => partition), sent.map(({ offset }) => offset)];
      const rows = await query<IdRecord>(MARK_SENT, columns);
      if (rows.length === ids.length) return [];
      const marked = new Set(rows.map(({ id }) => Number(id)));
      return stillPending(ids.filter((id) => !marked.has(id)));
    },
    scheduleRetry: ({ id, error }, delayMs) => change(SCHEDULE_RETRY, id, [error, delayMs]),
    markFailed: ({ id, error }) => change(MARK_FAILED, id, [error]),
    async nextRetryIn(except = []) {
      const [row] = await query<{ milliseconds: number | null }>(NEXT_RETRY, [except]);
      const milliseconds = row?.milliseconds ?? null;
      return milliseconds === null ? null : Math.max(0, Math.ceil(milliseconds));
    },
  };
}

function toClaimedRow(row: OutboxRecord): ClaimedRow {
  return {
    id: Number(row.id),
    eventId: row.event_id,
    topic: row.topic,
    key: row.key,
    shard: row.shard,
    sequence: row.sequence,
    payload: row.payload,
    headers: row.headers,
    retryCount: row.retry_count,
    maxRetries: row.max_retries,
    createdAt: row.created_at,
  };
}
