-- Takes those of the shards $1 that are vacant for member $2 and $3 milliseconds. $4: its own transactional id, null if it
-- writes without one. Whether a shard is vacant is decided by its own row, under its lock, and by the owner's session, which does not come
-- back: never by the owner's row in relay_members, which may be renewed while this statement runs.
WITH session AS MATERIALIZED (
  SELECT objid::bigint AS member FROM pg_locks
  WHERE locktype = 'advisory' AND classid = 1195724365 AND objsubid = 2 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
), vacant AS (
  SELECT shard, transactional_ids FROM relay_shards
  WHERE shard = ANY ($1::integer[])
    AND (owner IS NULL OR expires_at <= clock_timestamp() OR owner NOT IN (SELECT member FROM session))
    AND EXISTS (SELECT FROM relay_members WHERE id = $2 AND relay_members.expires_at > clock_timestamp())
  ORDER BY shard
  FOR UPDATE SKIP LOCKED
)
UPDATE relay_shards AS shard SET
  owner = $2,
  epoch = shard.epoch + 1,
  expires_at = clock_timestamp() + $3 * interval '1 millisecond',
  state = 'recovering',
  last_error = NULL,
  transactional_ids = array_remove(vacant.transactional_ids, $4::text) || array_remove(ARRAY[$4::text], NULL)
FROM vacant
WHERE shard.shard = vacant.shard
RETURNING shard.shard, shard.epoch::text, shard.floor::text, shard.position::text, vacant.transactional_ids AS predecessors
