-- The events at the places ($1, $2), with their outbox rows and what is known of the event before each.
SELECT e.event_id, e.aggregate_id, e.aggregate_version, e.event_type, e.event_version, e.payload::text AS payload,
       e.metadata::text AS metadata, e.correlation_id, e.causation_id, (extract(epoch FROM e.created_at) * 1000)::float8 AS occurred_at,
       o.id::float8 AS row_id, o.topic, o.status, o.partition, o."offset", (extract(epoch FROM o.sent_at) * 1000)::float8 AS sent_at,
       b.event_id AS before_event_id, b.row_id AS before_row_id, b.topic AS before_topic, b.status AS before_status, b.partition AS before_partition,
       b."offset" AS before_offset, b.sent_at AS before_sent_at
FROM (SELECT DISTINCT key, sequence FROM unnest($1::uuid[], $2::integer[]) AS p (key, sequence)) AS place
CROSS JOIN LATERAL (
  SELECT * FROM domain_events WHERE aggregate_id = place.key AND aggregate_version = place.sequence OFFSET 0
) AS e
LEFT JOIN LATERAL (
  SELECT id, topic, status, partition, "offset", sent_at FROM event_outbox WHERE key = place.key AND sequence = place.sequence OFFSET 0
) AS o ON true
LEFT JOIN LATERAL (
  SELECT d.event_id, r.id::float8 AS row_id, r.topic, r.status, r.partition, r."offset", (extract(epoch FROM r.sent_at) * 1000)::float8 AS sent_at
  FROM domain_events AS d
  LEFT JOIN event_outbox AS r ON r.key = d.aggregate_id AND r.sequence = d.aggregate_version
  WHERE d.aggregate_id = place.key AND d.aggregate_version = place.sequence - 1
  OFFSET 0
) AS b ON true
