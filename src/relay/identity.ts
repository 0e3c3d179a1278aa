import { traceIdOf } from '../outbox/outbox-row.ts';
import type { ClaimedRow } from './ports.ts';

/** By what lines of the log about one row are found: its event, its session, and its trace if it has one. */
export function identityOf({ eventId, key, headers }: Pick<ClaimedRow, 'eventId' | 'key' | 'headers'>) {
  return { event_id: eventId, session_id: key, trace_id: traceIdOf(headers) };
}
