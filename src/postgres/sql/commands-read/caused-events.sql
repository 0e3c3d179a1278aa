-- $1: session, $2 and $3: first and last version of each command. What these commands caused, and where each event is on its
-- way out. OFFSET 0 and LIMIT 1 keep each look a look-up by its index: as a join, the planner may read a long session's whole
-- history, or the whole outbox.
SELECT command.n::integer AS n, event.event_id, event.event_type, event.aggregate_version,
       outbox.status, outbox.topic, outbox.partition, outbox."offset", outbox.sent_at, outbox.retry_count, outbox.last_error,
       blocking.event_id AS blocked_by
FROM unnest($2::integer[], $3::integer[]) WITH ORDINALITY AS command (first_version, last_version, n)
CROSS JOIN LATERAL (
  SELECT domain_events.event_id, domain_events.event_type, domain_events.aggregate_version
  FROM domain_events
  WHERE aggregate_id = $1 AND aggregate_version BETWEEN command.first_version AND command.last_version
  OFFSET 0
) AS event
LEFT JOIN LATERAL (
  SELECT * FROM event_outbox WHERE event_outbox.event_id = event.event_id LIMIT 1
) AS outbox ON true
LEFT JOIN LATERAL (
  SELECT earlier.event_id
  FROM event_outbox AS earlier
  WHERE outbox.status = 'PENDING'
    AND earlier.key = outbox.key
    AND earlier.id < outbox.id
    AND (earlier.status = 'FAILED' OR (earlier.status = 'PENDING' AND earlier.retry_count > 0))
  ORDER BY earlier.id
  LIMIT 1
) AS blocking ON true
ORDER BY n, event.aggregate_version
