-- Renews the membership and the leases of member $1 for $2 milliseconds, stores what is reported of them, and looks around. What has
-- expired is not renewed, even if nobody has taken it: others were told that it is vacant.
-- Reports ($4 shards, $5 epochs, $6 floors, $7 positions, $8 states, $9 times of progress, $10 errors) of an earlier epoch are passed
-- over. $3: the transactional ids that may write to a shard whose predecessors are all fenced: ours, or none.
WITH renewed_member AS (
  UPDATE relay_members SET expires_at = clock_timestamp() + $2 * interval '1 millisecond'
  WHERE id = $1 AND expires_at > clock_timestamp()
  RETURNING id
), mine AS (
  -- In order: an operator's statement on several shards and this one do not wait for each other.
  SELECT shard, epoch FROM relay_shards
  WHERE owner = $1 AND expires_at > clock_timestamp()
  ORDER BY shard
  FOR UPDATE
), report AS (
  SELECT * FROM unnest($4::integer[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[], $9::float8[], $10::text[])
    AS report (shard, epoch, floor, position, state, last_progress_at, last_error)
), renewed AS (
  UPDATE relay_shards AS shard SET
    expires_at = clock_timestamp() + $2 * interval '1 millisecond',
    floor = coalesce(report.floor, shard.floor),
    position = coalesce(report.position, shard.position),
    state = coalesce(report.state, shard.state),
    last_progress_at = coalesce(to_timestamp(report.last_progress_at / 1000), shard.last_progress_at),
    last_error = CASE WHEN report.shard IS NULL THEN shard.last_error ELSE report.last_error END,
    transactional_ids = CASE WHEN report.state = 'active' THEN $3::text[] ELSE shard.transactional_ids END
  FROM mine LEFT JOIN report ON report.shard = mine.shard AND report.epoch = mine.epoch
  WHERE shard.shard = mine.shard
    AND shard.expires_at > clock_timestamp()
    AND EXISTS (SELECT FROM renewed_member)
  RETURNING shard.shard, shard.epoch, shard.paused
), session AS MATERIALIZED (
  SELECT objid::bigint AS member FROM pg_locks
  WHERE locktype = 'advisory' AND classid = 1195724365 AND objsubid = 2 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT
  (SELECT coalesce(json_agg(id ORDER BY id), '[]')
   FROM (
     SELECT id FROM renewed_member
     UNION ALL
     SELECT id FROM relay_members
     WHERE id <> $1 AND expires_at > clock_timestamp() AND id IN (SELECT member FROM session)
   ) AS alive) AS members,
  (SELECT coalesce(json_agg(shard ORDER BY shard), '[]') FROM renewed) AS held,
  -- The statement does not see its own changes: what it renewed, it has returned.
  (SELECT coalesce(json_agg(json_build_object(
      'shard', shard.shard,
      'owner', shard.owner,
      'vacant', renewed.shard IS NULL AND (
        shard.owner IS NULL OR shard.expires_at <= clock_timestamp() OR shard.owner NOT IN (SELECT member FROM session)
      ),
      'epoch', coalesce(renewed.epoch, shard.epoch),
      'paused', coalesce(renewed.paused, shard.paused)
    ) ORDER BY shard.shard), '[]')
   FROM relay_shards AS shard LEFT JOIN renewed ON renewed.shard = shard.shard) AS shards
