-- $1: ids. Those whose rows are still to be marked, as far as anybody can see.
SELECT id::float8 AS id FROM event_outbox
WHERE id = ANY ($1::bigint[]) AND (status = 'PENDING' OR (status = 'DISCARDED' AND sent_at IS NULL))
