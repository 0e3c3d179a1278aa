-- $1: most rows, $2: most bytes of payload (the first row comes whatever its size).
-- Lowest id first from the partial index of PENDING rows; `status = 'PENDING'` is its predicate, so it is never dearer than the primary key.
-- OFFSET 0 keeps the test for held sessions a lookup per row in the small index of blocking rows: as a join, the planner may choose to read all PENDING rows first.
-- scheduled_at counts only after a refusal: a clock that was set back must not hide a row from its successors.
SELECT id, event_id, topic, key, shard, sequence, payload, headers, retry_count, max_retries,
       extract(epoch FROM created_at)::float8 * 1000 AS created_at
FROM (
  SELECT *, sum(octet_length(payload)) OVER (ORDER BY id) - octet_length(payload) AS bytes_before
  FROM (
    SELECT pending.*
    FROM event_outbox AS pending
    WHERE pending.status = 'PENDING'
      AND (pending.retry_count = 0 OR pending.scheduled_at <= now())
      AND NOT EXISTS (
        SELECT FROM event_outbox AS earlier
        WHERE earlier.key = pending.key
          AND earlier.id < pending.id
          AND (earlier.status = 'FAILED' OR (earlier.status = 'PENDING' AND earlier.retry_count > 0))
          AND (earlier.status = 'FAILED' OR earlier.scheduled_at > now())
        OFFSET 0
      )
    ORDER BY pending.id
    LIMIT $1
  ) AS claimable
) AS measured
WHERE bytes_before < $2
ORDER BY id
