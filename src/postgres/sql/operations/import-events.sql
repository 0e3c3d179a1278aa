-- Events with their outbox rows, in the order of their records: the ids of one session's rows ascend with its versions.
WITH events AS (
  INSERT INTO domain_events (
    event_id, aggregate_type, aggregate_id, aggregate_version, event_type, event_version, payload, metadata, correlation_id,
    causation_id, created_at
  )
  SELECT event_id, 'GENESIS_SESSION', aggregate_id, aggregate_version, event_type, event_version, payload, metadata,
         correlation_id, causation_id, created_at
  FROM unnest(
    $1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::integer[], $6::json[], $7::json[], $8::uuid[], $9::uuid[],
    $10::timestamptz[]
  ) AS e (
    event_id, aggregate_id, aggregate_version, event_type, event_version, payload, metadata, correlation_id, causation_id,
    created_at
  )
), ahead AS (
  UPDATE genesis_settings SET topic_ahead = true WHERE NOT topic_ahead
)
INSERT INTO event_outbox (
  event_id, topic, key, shard, sequence, payload, headers, status, scheduled_at, created_at, sent_at, partition, "offset"
)
SELECT event_id, $11, aggregate_id, shard, aggregate_version, value, headers, 'SENT', created_at, created_at, sent_at, partition, "offset"
FROM unnest(
  $1::uuid[], $2::uuid[], $3::integer[], $12::integer[], $13::text[], $14::json[], $10::timestamptz[], $15::timestamptz[],
  $16::integer[], $17::bigint[]
) WITH ORDINALITY AS o (
  event_id, aggregate_id, aggregate_version, shard, value, headers, created_at, sent_at, partition, "offset", n
)
ORDER BY n
