SELECT id::float8 AS id, topic, key, sequence, event_id, status, partition, "offset"::text AS "offset",
       (extract(epoch FROM sent_at) * 1000)::float8 AS sent_at
FROM event_outbox
WHERE id = ANY ($1::bigint[])
