-- Gives shards of member $1 back, with how far it has come ($2 shards, $3 epochs, $4 floors, $5 positions, $6 times of progress,
-- $7 errors). $8, its transactional id, has nothing open there; null: it may have, so it stays, as do those before it that it has not
-- fenced.
UPDATE relay_shards AS shard SET
  owner = NULL,
  expires_at = NULL,
  floor = report.floor,
  position = report.position,
  state = 'free',
  last_progress_at = coalesce(to_timestamp(report.last_progress_at / 1000), shard.last_progress_at),
  last_error = report.last_error,
  transactional_ids = array_remove(shard.transactional_ids, $8::text)
FROM unnest($2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], $6::float8[], $7::text[])
  AS report (shard, epoch, floor, position, last_progress_at, last_error)
WHERE shard.shard = report.shard AND shard.epoch = report.epoch AND shard.owner = $1 AND shard.expires_at > clock_timestamp()
