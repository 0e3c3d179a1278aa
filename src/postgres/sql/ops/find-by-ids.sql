-- $1: statuses, $2: shard, $3: event type, $4 and $5: bounds of the id, $6 and $7: bounds of the age in seconds; null: any.
-- $8: ids, $9: from this id on, $10: session or null, $11: event or null, $12: most rows.
SELECT id, event_id, headers ->> 'ce_type' AS event_type, key, sequence, shard, topic, status, retry_count, max_retries, last_error,
       scheduled_at, created_at, extract(epoch FROM now() - created_at)::float8 AS age, sent_at, partition, "offset"
FROM event_outbox
WHERE id = ANY ($8::bigint[]) AND id >= $9 AND status = ANY ($1)
  AND ($10::uuid IS NULL OR key = $10)
  AND ($11::uuid IS NULL OR event_id = $11)
  AND ($2::integer IS NULL OR shard = $2)
  AND ($3::text IS NULL OR headers ->> 'ce_type' = $3)
  AND ($4::bigint IS NULL OR id >= $4)
  AND ($5::bigint IS NULL OR id <= $5)
  AND ($6::float8 IS NULL OR created_at <= now() - $6 * interval '1 second')
  AND ($7::float8 IS NULL OR created_at >= now() - $7 * interval '1 second')
ORDER BY id
LIMIT $12
