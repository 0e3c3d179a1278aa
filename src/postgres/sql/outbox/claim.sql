-- $1: member, $2: shards, $3: lowest id, $4: most rows, $5: most bytes of payload (the first row comes whatever its size), $6: ids
-- to leave out, $7: sessions to leave out.
-- The shards of $2 that may be claimed (none while the topic is ahead of the database), with their PENDING rows, lowest id first, sessions on hold left out. One row with a null id if there are none.
-- The primary key has the order of the claim, and no other index has: each row is read once, and none below the lowest id.
-- Without a shard nothing is read at all. NOT IN is a hash, however many there are; OFFSET 0 keeps the test for holds a look-up per row.
SELECT ours.shards, ours.ready, claimed.*
FROM (
  SELECT coalesce(array_agg(shard ORDER BY shard), '{}') AS shards,
         bool_or(EXISTS (
           SELECT FROM event_outbox_holds AS hold
           WHERE hold.shard = relay_shards.shard
             AND hold.waits_until < 'infinity' AND (hold.waits_until <= now() OR hold.waits_since > now())
         )) AS ready
  FROM relay_shards
  WHERE shard = ANY ($2::integer[]) AND owner = $1 AND expires_at > clock_timestamp() AND NOT paused
    AND NOT EXISTS (SELECT FROM genesis_settings WHERE only_row AND topic_ahead)
) AS ours
LEFT JOIN LATERAL (
  SELECT id::float8 AS id, event_id, topic, key, shard, sequence, payload, headers, retry_count, max_retries,
         extract(epoch FROM created_at)::float8 * 1000 AS created_at
  FROM (
    SELECT *, sum(octet_length(payload)) OVER (ORDER BY id) - octet_length(payload) AS bytes_before
    FROM (
      SELECT *
      FROM event_outbox AS pending
      WHERE pending.id >= $3
        AND pending.status = 'PENDING'
        AND pending.shard = ANY (ours.shards) AND ours.shards <> '{}'
        AND pending.id NOT IN (SELECT unnest($6::bigint[]))
        AND pending.key NOT IN (SELECT unnest($7::uuid[]))
        AND NOT EXISTS (SELECT FROM event_outbox_holds AS hold WHERE hold.key = pending.key OFFSET 0)
      ORDER BY pending.id
      LIMIT $4
    ) AS claimable
  ) AS measured
  WHERE bytes_before < $5
) AS claimed ON true
