-- Events after the place ($1, $2) in the order of the log, at most $3 and some $4 bytes of payload (one at least), with their outbox rows.
-- The rows are looked up one by one: a planner with stale figures could otherwise read the whole outbox for each page.
SELECT page.event_id, page.aggregate_id, page.aggregate_version, page.event_type, page.event_version, page.payload, page.metadata,
       page.correlation_id, page.causation_id, page.occurred_at,
       o.id::float8 AS row_id, o.topic, o.status, o.partition, o."offset", (extract(epoch FROM o.sent_at) * 1000)::float8 AS sent_at
FROM (
  SELECT *, sum(octet_length(payload)) OVER (ORDER BY aggregate_id, aggregate_version) - octet_length(payload) AS octets_before
  FROM (
    SELECT event_id, aggregate_id, aggregate_version, event_type, event_version, payload::text AS payload, metadata::text AS metadata,
           correlation_id, causation_id, (extract(epoch FROM created_at) * 1000)::float8 AS occurred_at
    FROM domain_events
    WHERE (aggregate_id, aggregate_version) > ($1::uuid, $2::integer)
    ORDER BY aggregate_id, aggregate_version
    LIMIT $3
  ) AS next
) AS page
LEFT JOIN LATERAL (
  SELECT id, topic, status, partition, "offset", sent_at FROM event_outbox WHERE key = page.aggregate_id AND sequence = page.aggregate_version OFFSET 0
) AS o ON true
WHERE octets_before < $4
ORDER BY page.aggregate_id, page.aggregate_version
