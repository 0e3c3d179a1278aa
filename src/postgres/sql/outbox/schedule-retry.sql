-- $1: id, $2: the broker's words, $3: milliseconds
UPDATE event_outbox
SET retry_count = retry_count + 1, last_error = $2, scheduled_at = now() + $3::float8 * interval '1 millisecond'
WHERE id = $1 AND status = 'PENDING'
