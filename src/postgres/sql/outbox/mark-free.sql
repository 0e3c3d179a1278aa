-- As mark-sent.sql, but rows that somebody has locked are left for later: the others must not wait for him.
WITH free AS (
  SELECT outbox.id, acknowledged.partition, acknowledged."offset"
  FROM unnest($1::bigint[], $2::integer[], $3::bigint[]) AS acknowledged (id, partition, "offset")
  JOIN event_outbox AS outbox USING (id)
  WHERE outbox.status = 'PENDING' OR (outbox.status = 'DISCARDED' AND outbox.sent_at IS NULL)
  FOR NO KEY UPDATE OF outbox SKIP LOCKED
)
UPDATE event_outbox AS outbox
SET status = CASE outbox.status WHEN 'PENDING' THEN 'SENT' ELSE outbox.status END,
    sent_at = clock_timestamp(), partition = free.partition, "offset" = free."offset"
FROM free
WHERE outbox.id = free.id AND (outbox.status = 'PENDING' OR (outbox.status = 'DISCARDED' AND outbox.sent_at IS NULL))
RETURNING outbox.id::float8 AS id
