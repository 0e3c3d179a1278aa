-- $1: id, $2: the broker's words. Gives the id if the row was marked; not if somebody has it locked.
UPDATE event_outbox SET status = 'FAILED', last_error = $2
WHERE id = (SELECT id FROM event_outbox WHERE id = $1 AND status = 'PENDING' FOR NO KEY UPDATE SKIP LOCKED)
RETURNING id
