-- Milliseconds until the next row that waits for its retry may be claimed. One behind a FAILED row waits for an operator.
SELECT extract(epoch FROM min(waiting.scheduled_at) - now())::float8 * 1000 AS milliseconds
FROM event_outbox AS waiting
WHERE waiting.status = 'PENDING' AND waiting.retry_count > 0
  AND NOT EXISTS (
    SELECT FROM event_outbox AS earlier
    WHERE earlier.key = waiting.key AND earlier.id < waiting.id AND earlier.status = 'FAILED'
  )
