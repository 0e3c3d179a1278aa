-- $1: sessions.
SELECT hold.key, hold.next_sequence, hold.created_at AS since,
       CASE WHEN isfinite(hold.waits_until) THEN hold.waits_until END AS waits_until,
       blocking.id::float8 AS blocking_id, blocking.event_id AS blocking_event, blocking.sequence AS blocking_sequence,
       blocking.status AS blocking_status, blocking.last_error AS blocking_error
FROM event_outbox_holds AS hold
LEFT JOIN event_outbox AS blocking ON blocking.key = hold.key AND blocking.sequence = hold.blocked_by
WHERE hold.key = ANY ($1)
