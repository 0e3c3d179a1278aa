-- $1: from this session on, $2: how many sessions were looked at. The first that was not.
SELECT key FROM event_outbox_holds WHERE key >= $1 ORDER BY key OFFSET $2 LIMIT 1
