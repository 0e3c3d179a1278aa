-- $1: ids, $2: call, $3: actor, $4: by what, $5: filter, $6: reason, $7: PENDING rows too that nothing keeps waiting.
-- Likewise as retry-rows. A PENDING row can be on its way, unless an earlier one of its session or its own retry keeps it back.
WITH target AS MATERIALIZED (
  SELECT outbox.id
  FROM event_outbox AS outbox
  LEFT JOIN event_outbox_holds AS hold ON hold.key = outbox.key
  WHERE outbox.id = ANY ($1::bigint[])
    AND (outbox.status = 'FAILED'
      OR (outbox.status = 'PENDING' AND ($7 OR (hold.blocked_by <= outbox.sequence AND hold.waits_until > clock_timestamp()))))
  ORDER BY outbox.key, outbox.sequence
  FOR UPDATE OF outbox SKIP LOCKED
), changed AS (
  UPDATE event_outbox SET status = 'DISCARDED' FROM target WHERE event_outbox.id = target.id
  RETURNING event_outbox.id, event_id, key, sequence
), told AS (
  INSERT INTO operator_actions (call_id, actor, via, action, filter, reason, event_ids)
  SELECT $2, $3, $4, 'discard', $5, $6, array_agg(event_id ORDER BY key, sequence) FROM changed HAVING count(*) > 0
  RETURNING id
)
SELECT changed.id::float8 AS id, told.id::text AS told, pg_current_xact_id()::text AS xid FROM changed, told
