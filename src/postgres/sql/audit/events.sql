-- Every event of these sessions with its outbox row, in the order in which they happened. The row of an event is the one at its place;
-- if another event's row stands there, it shows by its value. `stuck`: no claim will ever come to the row.
SELECT e.event_id, e.aggregate_id, e.aggregate_version, e.event_type, e.event_version, e.payload::text AS payload,
       e.metadata::text AS metadata, e.correlation_id, e.causation_id, (extract(epoch FROM e.created_at) * 1000)::float8 AS occurred_at,
       o.status, o.shard, o.payload AS value, o.headers::text AS headers,
       o.status = 'PENDING'
         AND o.id < (SELECT floor FROM relay_shards WHERE relay_shards.shard = o.shard)
         AND NOT EXISTS (SELECT FROM event_outbox_holds WHERE event_outbox_holds.key = o.key) AS stuck
FROM domain_events AS e
LEFT JOIN event_outbox AS o ON o.key = e.aggregate_id AND o.sequence = e.aggregate_version
WHERE e.aggregate_id = ANY ($1::uuid[])
ORDER BY e.aggregate_id, e.aggregate_version
