-- The sequence is read in the order of the rows: the ids of one session ascend with its versions.
INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers, scheduled_at, created_at)
SELECT event_id, topic, key, shard, sequence, payload, headers, at, at
FROM unnest(
  $1::uuid[], string_to_array($2, E'\x1f', ''), $3::uuid[], $4::int[], $5::int[],
  string_to_array($6, E'\x1f', ''), string_to_array($7, E'\x1f', '')::json[], $8::timestamptz[]
) WITH ORDINALITY AS o (event_id, topic, key, shard, sequence, payload, headers, at, n)
ORDER BY n
