-- $1: partitions, $2: read from, $3: read to. A partition's position only moves over what was read.
WITH open AS (
  UPDATE genesis_settings SET topic_ahead = false WHERE topic_ahead
)
UPDATE relay_shards AS s
SET topic_ahead_at = NULL,
    position = CASE WHEN p.first <= s.position THEN greatest(s.position, p.last) ELSE s.position END
FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS p (partition, first, last)
WHERE s.shard = p.partition
