-- $1: sessions to leave out.
-- Milliseconds until the next row that waits for its retry may be claimed. One behind a FAILED row waits for an operator.
-- One that lies further ahead than its retry may be put off is due: see claim.sql.
SELECT extract(epoch FROM min(
  CASE WHEN waiting.scheduled_at BETWEEN now() AND
            now() + least(2 ^ least(waiting.retry_count - 1, 12), 3600) * interval '1 second' + interval '5 seconds'
       THEN waiting.scheduled_at - now() ELSE interval '0' END
))::float8 * 1000 AS milliseconds
FROM event_outbox AS waiting
WHERE waiting.status = 'PENDING' AND waiting.retry_count > 0 AND waiting.key <> ALL ($1::uuid[])
  AND NOT EXISTS (
    SELECT FROM event_outbox AS earlier
    WHERE earlier.key = waiting.key AND earlier.id < waiting.id AND earlier.status = 'FAILED'
  )
