SELECT o.id::float8 AS id, o.event_id AS "eventId", o.key AS "sessionId"
FROM event_outbox AS o
WHERE o.key = $1
  AND NOT EXISTS (
    SELECT FROM domain_events AS e
    WHERE e.aggregate_id = o.key AND e.aggregate_version = o.sequence AND e.event_id = o.event_id
  )
ORDER BY o.id
