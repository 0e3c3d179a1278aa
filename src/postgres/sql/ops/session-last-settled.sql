-- $1: session, $2: below this sequence. The last row that was sent, or discarded and its marker sent.
SELECT id, event_id, headers ->> 'ce_type' AS event_type, key, sequence, shard, topic, status, retry_count, max_retries, last_error,
       scheduled_at, created_at, extract(epoch FROM now() - created_at)::float8 AS age, sent_at, partition, "offset"
FROM event_outbox
WHERE key = $1 AND sequence < $2 AND sent_at IS NOT NULL
ORDER BY sequence DESC
LIMIT 1
