-- In (session, version) order.
INSERT INTO domain_events (
  event_id, aggregate_type, aggregate_id, aggregate_version, event_type, event_version, payload, metadata,
  correlation_id, causation_id, created_at
)
SELECT event_id, 'GENESIS_SESSION', aggregate_id, aggregate_version, event_type, event_version, payload, metadata,
       correlation_id, causation_id, created_at
FROM unnest(
  $1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::int[], string_to_array($6, E'\x1f', '')::json[],
  string_to_array($7, E'\x1f', '')::json[], $8::uuid[], $9::uuid[], $10::timestamptz[]
) AS e (
  event_id, aggregate_id, aggregate_version, event_type, event_version, payload, metadata, correlation_id, causation_id,
  created_at
)
