-- $1: ids, $2: call, $3: actor, $4: by what, $5: filter, $6: reason.
-- Locked in the order of sessions, so that two such steps never wait for each other in a circle; what somebody else has locked is
-- passed over. The triggers of event_outbox do the rest: tries, hold, wake-up.
WITH target AS MATERIALIZED (
  SELECT id FROM event_outbox WHERE id = ANY ($1::bigint[]) AND status = 'FAILED' ORDER BY key, sequence FOR UPDATE SKIP LOCKED
), changed AS (
  UPDATE event_outbox SET status = 'PENDING' FROM target WHERE event_outbox.id = target.id
  RETURNING event_outbox.id, event_id, key, sequence
), told AS (
  INSERT INTO operator_actions (call_id, actor, via, action, filter, reason, event_ids)
  SELECT $2, $3, $4, 'retry', $5, $6, array_agg(event_id ORDER BY key, sequence) FROM changed HAVING count(*) > 0
  RETURNING id
)
SELECT changed.id::float8 AS id, told.id::text AS told, pg_current_xact_id()::text AS xid FROM changed, told
