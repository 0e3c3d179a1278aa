-- $1: statuses, $2: shard, $3: event type, $4 and $5: bounds of the id, $6 and $7: bounds of the age in seconds; null: any.
-- $8: from this sequence on, $9: most rows that are looked at, $10: most rows, $11: session or null, $12: event or null; one of the two.
-- event_outbox knows an event by its session and version.
SELECT id, event_id, headers ->> 'ce_type' AS event_type, key, sequence, shard, topic, status, retry_count, max_retries, last_error,
       scheduled_at, created_at, extract(epoch FROM now() - created_at)::float8 AS age, sent_at, partition, "offset"
FROM (
  SELECT *
  FROM event_outbox
  WHERE key = coalesce($11, (SELECT aggregate_id FROM domain_events WHERE domain_events.event_id = $12))
    AND sequence >= coalesce((SELECT aggregate_version FROM domain_events WHERE domain_events.event_id = $12), $8)
  ORDER BY sequence
  LIMIT $9
) AS looked_at
WHERE status = ANY ($1)
  AND ($12::uuid IS NULL OR event_id = $12)
  AND ($2::integer IS NULL OR shard = $2)
  AND ($3::text IS NULL OR headers ->> 'ce_type' = $3)
  AND ($4::bigint IS NULL OR id >= $4)
  AND ($5::bigint IS NULL OR id <= $5)
  AND ($6::float8 IS NULL OR created_at <= now() - $6 * interval '1 second')
  AND ($7::float8 IS NULL OR created_at >= now() - $7 * interval '1 second')
ORDER BY sequence
LIMIT $10
