-- $1: shard or null, $2 and $3: bounds of the id or null, $4: from this id on or null, as in find-ordinary; $5: how many rows were
-- looked at. The first that was not.
SELECT id::float8 AS at
FROM event_outbox
WHERE id >= greatest($2, coalesce($4, (SELECT min(floor) FROM relay_shards WHERE $1::integer IS NULL OR shard = $1), 1))
  AND id <= coalesce($3, 9223372036854775807)
ORDER BY id
OFFSET $5
LIMIT 1
