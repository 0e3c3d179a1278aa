-- $1: statuses, $2: shard, $3: event type, $4 and $5: bounds of the id, $6 and $7: bounds of the age in seconds; null: any.
-- $8 and $9: from this session and sequence on, $10: most sessions that are looked at, $11: most rows of one of them, $12: most rows.
SELECT outbox.*
FROM (SELECT * FROM event_outbox_holds WHERE key >= $8 ORDER BY key LIMIT $10) AS hold
CROSS JOIN LATERAL (
  SELECT id, event_id, headers ->> 'ce_type' AS event_type, key, sequence, shard, topic, status, retry_count, max_retries, last_error,
         scheduled_at, created_at, extract(epoch FROM now() - created_at)::float8 AS age, sent_at, partition, "offset"
  FROM (
    SELECT *
    FROM event_outbox
    WHERE key = hold.key AND sequence >= greatest(hold.next_sequence, CASE WHEN hold.key = $8 THEN $9::integer ELSE 0 END)
    ORDER BY sequence
    LIMIT $11
  ) AS looked_at
  WHERE sent_at IS NULL AND status = ANY ($1)
    AND ($2::integer IS NULL OR shard = $2)
    AND ($3::text IS NULL OR headers ->> 'ce_type' = $3)
    AND ($4::bigint IS NULL OR id >= $4)
    AND ($5::bigint IS NULL OR id <= $5)
    AND ($6::float8 IS NULL OR created_at <= now() - $6 * interval '1 second')
    AND ($7::float8 IS NULL OR created_at >= now() - $7 * interval '1 second')
  ORDER BY sequence
) AS outbox
ORDER BY hold.key, outbox.sequence
LIMIT $12
