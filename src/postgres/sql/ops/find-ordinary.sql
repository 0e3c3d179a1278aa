-- $1: statuses, $2: shard, $3: event type, $4 and $5: bounds of the id, $6 and $7: bounds of the age in seconds; null: any.
-- $8: from this id on, null: the lowest floor, below which no row is to be sent in the ordinary way; $9: most rows that are looked at, $10: most rows.
SELECT id, event_id, headers ->> 'ce_type' AS event_type, key, sequence, shard, topic, status, retry_count, max_retries, last_error,
       scheduled_at, created_at, extract(epoch FROM now() - created_at)::float8 AS age, sent_at, partition, "offset"
FROM (
  SELECT *
  FROM event_outbox
  WHERE id >= greatest($4, coalesce($8, (SELECT min(floor) FROM relay_shards WHERE $2::integer IS NULL OR shard = $2), 1))
    AND id <= coalesce($5, 9223372036854775807)
  ORDER BY id
  LIMIT $9
) AS looked_at
WHERE status = 'PENDING' AND status = ANY ($1)
  AND ($2::integer IS NULL OR shard = $2)
  AND ($3::text IS NULL OR headers ->> 'ce_type' = $3)
  AND ($6::float8 IS NULL OR created_at <= now() - $6 * interval '1 second')
  AND ($7::float8 IS NULL OR created_at >= now() - $7 * interval '1 second')
  AND NOT EXISTS (SELECT FROM event_outbox_holds AS hold WHERE hold.key = looked_at.key)
ORDER BY id
LIMIT $10
