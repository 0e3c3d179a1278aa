-- $1: session, $2: from this sequence on, $3: how many rows were looked at. The first that was not.
SELECT sequence AS at FROM event_outbox WHERE key = $1 AND sequence >= $2 ORDER BY sequence OFFSET $3 LIMIT 1
