-- $1: session, $2: most rows. Its rows that are not settled, the first of them. Those of a session on hold begin at its
-- next_sequence; those of another stand at its end.
SELECT id, event_id, headers ->> 'ce_type' AS event_type, key, sequence, shard, topic, status, retry_count, max_retries, last_error,
       scheduled_at, created_at, extract(epoch FROM now() - created_at)::float8 AS age, sent_at, partition, "offset"
FROM event_outbox
WHERE key = $1
  AND sent_at IS NULL
  AND sequence >= coalesce(
    (SELECT next_sequence FROM event_outbox_holds WHERE key = $1),
    (SELECT sequence FROM event_outbox WHERE key = $1 ORDER BY sequence DESC OFFSET $2 LIMIT 1),
    1)
ORDER BY sequence
LIMIT $2
