-- $1: ids. Those whose rows are PENDING, as far as anybody can see.
SELECT id FROM event_outbox WHERE id = ANY ($1::bigint[]) AND status = 'PENDING'
