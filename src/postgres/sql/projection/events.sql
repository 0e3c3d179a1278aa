-- Runs after the lock: a new snapshot sees what its former holder committed.
SELECT event_id, aggregate_id, aggregate_version, event_type, event_version, payload::text AS payload, metadata::text AS metadata,
       correlation_id, causation_id, (extract(epoch FROM created_at) * 1000)::float8 AS occurred_at
FROM domain_events
WHERE aggregate_id = $1
ORDER BY aggregate_version
