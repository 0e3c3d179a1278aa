-- $1: id, $2: the broker's words, $3: milliseconds. Gives the id if the row was charged; not if somebody has it locked.
UPDATE event_outbox
SET retry_count = retry_count + 1, last_error = $2, scheduled_at = now() + $3::float8 * interval '1 millisecond'
WHERE id = (SELECT id FROM event_outbox WHERE id = $1 AND status = 'PENDING' FOR NO KEY UPDATE SKIP LOCKED)
RETURNING id
