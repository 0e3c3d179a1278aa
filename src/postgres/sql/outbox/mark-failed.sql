-- $1: id, $2: the broker's words
UPDATE event_outbox SET status = 'FAILED', last_error = $2 WHERE id = $1 AND status = 'PENDING'
