-- $1: most rows, $2: most bytes of payload (the first row comes whatever its size), $3: sessions to leave out.
-- Lowest id first from the partial index of PENDING rows; `status = 'PENDING'` is its predicate, so it is never dearer than the primary key.
-- OFFSET 0 keeps the test for held sessions a lookup per row in the small index of blocking rows: as a join, the planner may choose to read all PENDING rows first.
-- scheduled_at counts only after a refusal, and only as far ahead as that retry may be put off (src/relay/retry-policy.ts; 5 s for good measure):
-- a clock that was set back must neither hide a row from its successors nor hold its session until it has caught up.
SELECT id, event_id, topic, key, shard, sequence, payload, headers, retry_count, max_retries,
       extract(epoch FROM created_at)::float8 * 1000 AS created_at
FROM (
  SELECT *, sum(octet_length(payload)) OVER (ORDER BY id) - octet_length(payload) AS bytes_before
  FROM (
    SELECT pending.*
    FROM event_outbox AS pending
    WHERE pending.status = 'PENDING'
      AND pending.key <> ALL ($3::uuid[])
      AND (pending.retry_count = 0 OR pending.scheduled_at NOT BETWEEN now() AND
           now() + least(2 ^ least(pending.retry_count - 1, 12), 3600) * interval '1 second' + interval '5 seconds')
      AND NOT EXISTS (
        SELECT FROM event_outbox AS earlier
        WHERE earlier.key = pending.key
          AND earlier.id < pending.id
          AND (earlier.status = 'FAILED' OR (earlier.status = 'PENDING' AND earlier.retry_count > 0))
          AND (earlier.status = 'FAILED' OR earlier.scheduled_at BETWEEN now() AND
               now() + least(2 ^ least(earlier.retry_count - 1, 12), 3600) * interval '1 second' + interval '5 seconds')
        OFFSET 0
      )
    ORDER BY pending.id
    LIMIT $1
  ) AS claimable
) AS measured
WHERE bytes_before < $2
ORDER BY id
