-- $1: statuses, $2: shard, $3: event type, $4 and $5: bounds of the id, $6 and $7: bounds of the age in seconds; null: any.
-- $8: from this id down, null: from the newest; $9: most rows that are looked at, $10: most rows.
SELECT id, event_id, headers ->> 'ce_type' AS event_type, key, sequence, shard, topic, status, retry_count, max_retries, last_error,
       scheduled_at, created_at, extract(epoch FROM now() - created_at)::float8 AS age, sent_at, partition, "offset"
FROM (
  SELECT *
  FROM event_outbox
  WHERE id <= least($5, coalesce($8, 9223372036854775807)) AND id >= coalesce($4, 1)
  ORDER BY id DESC
  LIMIT $9
) AS looked_at
WHERE sent_at IS NOT NULL AND status = ANY ($1)
  AND ($2::integer IS NULL OR shard = $2)
  AND ($3::text IS NULL OR headers ->> 'ce_type' = $3)
  AND ($6::float8 IS NULL OR created_at <= now() - $6 * interval '1 second')
  AND ($7::float8 IS NULL OR created_at >= now() - $7 * interval '1 second')
ORDER BY id DESC
LIMIT $10
