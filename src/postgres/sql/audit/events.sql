-- Every event of these sessions with its outbox row, in the order in which they happened.
SELECT e.event_id, e.aggregate_id, e.aggregate_version, e.event_type, e.event_version, e.payload::text AS payload,
       e.metadata::text AS metadata, e.correlation_id, e.causation_id, (extract(epoch FROM e.created_at) * 1000)::float8 AS occurred_at,
       o.status, o.key, o.shard, o.sequence, o.payload AS value, o.headers::text AS headers
FROM domain_events AS e
LEFT JOIN event_outbox AS o ON o.event_id = e.event_id
WHERE e.aggregate_id = ANY ($1::uuid[])
ORDER BY e.aggregate_id, e.aggregate_version
