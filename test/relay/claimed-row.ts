import type { EventId, SessionId } from '../../src/genesis/ids.ts';
import type { ClaimedRow } from '../../src/relay/ports.ts';

/** A row of a session of its own, as a claim gives it. */
export function claimedRow(id: number, shard: number, payload = 'x', retryCount = 0): ClaimedRow {
  return {
    id,
    eventId: `event-${id}` as EventId,
    topic: 'events',
    key: `session-${id}` as SessionId,
    shard,
    sequence: 1,
    payload,
    headers: {},
    retryCount,
    maxRetries: 3,
    createdAt: 0,
    held: false,
  };
}
