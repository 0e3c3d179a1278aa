-- $1: session, $2 and $3: first and last version of each command. What these commands caused, and where each event is on its
-- way out. OFFSET 0 and LIMIT 1 keep each look a look-up by its index: as a join, the planner may read a long session's whole
-- history, or the whole outbox.
-- Who holds the others is asked once, and only of a session on hold: its first row that is FAILED or waits for its retry.
WITH blocking AS MATERIALIZED (
  SELECT first.sequence, first.event_id
  FROM event_outbox_holds AS hold
  CROSS JOIN LATERAL (
    SELECT sequence, event_id
    FROM event_outbox
    WHERE event_outbox.key = hold.key AND event_outbox.sequence >= hold.next_sequence
      AND (status = 'FAILED' OR (status = 'PENDING' AND retry_count > 0))
    ORDER BY event_outbox.sequence
    LIMIT 1
  ) AS first
  WHERE hold.key = $1
)
SELECT command.n::integer AS n, event.event_id, event.event_type, event.aggregate_version,
       outbox.status, outbox.topic, outbox.partition, outbox."offset", outbox.sent_at, outbox.retry_count, outbox.last_error,
       CASE WHEN outbox.status = 'PENDING' THEN (SELECT event_id FROM blocking WHERE blocking.sequence < outbox.sequence) END AS blocked_by
FROM unnest($2::integer[], $3::integer[]) WITH ORDINALITY AS command (first_version, last_version, n)
CROSS JOIN LATERAL (
  SELECT domain_events.event_id, domain_events.event_type, domain_events.aggregate_version
  FROM domain_events
  WHERE aggregate_id = $1 AND aggregate_version BETWEEN command.first_version AND command.last_version
  OFFSET 0
) AS event
LEFT JOIN LATERAL (
  SELECT *
  FROM event_outbox
  WHERE event_outbox.key = $1 AND event_outbox.sequence = event.aggregate_version AND event_outbox.event_id = event.event_id
  LIMIT 1
) AS outbox ON true
ORDER BY n, event.aggregate_version
