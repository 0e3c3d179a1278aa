-- $1: shard, $2: whether it is to be paused, $3: call, $4: actor, $5: by what, $6: filter, $7: reason.
WITH changed AS (
  UPDATE relay_shards SET paused = $2 WHERE shard = $1 AND paused <> $2 RETURNING shard
), told AS (
  INSERT INTO operator_actions (call_id, actor, via, action, filter, reason, shards)
  SELECT $3, $4, $5, CASE WHEN $2 THEN 'pause' ELSE 'resume' END, $6, $7, array_agg(shard) FROM changed HAVING count(*) > 0
  RETURNING id
)
SELECT changed.shard AS id, told.id::text AS told, pg_current_xact_id()::text AS xid FROM changed, told
