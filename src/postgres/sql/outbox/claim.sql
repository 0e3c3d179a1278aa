-- $1: member, $2: shards, $3: lowest id, $4: most rows, $5: most bytes of payload (the first row comes whatever its size), $6: ids
-- to leave out, $7: sessions to leave out, $8: whether it is to be said if sessions on hold may go on.
-- First one row that says which shards of $2 may be claimed (none while the topic is ahead of the database) and whether a session on
-- hold in them may go on; then their PENDING rows, lowest id first, sessions on hold left out.
-- Whoever may go on stands first in the index of a shard's holds: ORDER BY keeps the planner to it, however many others it knows of.
-- The primary key has the order of the claim, and no other index has: each row is read once, and none below the lowest id.
-- Without a shard nothing is read at all. NOT IN is a hash, however many there are; OFFSET 0 keeps the test for holds a look-up per row,
-- which is saved while there are no holds at all.
WITH ours AS MATERIALIZED (
  SELECT coalesce(array_agg(shard ORDER BY shard), '{}') AS shards,
         bool_or($8::boolean AND (
           SELECT true
           FROM event_outbox_holds AS hold
           WHERE hold.shard = relay_shards.shard
             AND hold.waits_until < 'infinity' AND (hold.waits_until <= now() OR hold.waits_since > now())
           ORDER BY hold.waits_until
           LIMIT 1
         )) AS ready
  FROM relay_shards
  WHERE shard = ANY ($2::integer[]) AND owner = $1 AND expires_at > clock_timestamp() AND NOT paused
    AND NOT EXISTS (SELECT FROM genesis_settings WHERE only_row AND topic_ahead)
)
SELECT shards, ready, NULL AS id, NULL AS event_id, NULL AS topic, NULL AS key, NULL AS shard, NULL AS sequence, NULL AS payload,
       NULL AS headers, NULL AS retry_count, NULL AS max_retries, NULL AS created_at
FROM ours
UNION ALL
SELECT NULL, NULL, claimed.*
FROM ours
CROSS JOIN LATERAL (
  SELECT id::float8, event_id, topic, key, shard, sequence, payload, headers, retry_count, max_retries,
         date_part('epoch', created_at) * 1000
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
        AND (
          NOT EXISTS (SELECT FROM event_outbox_holds)
          OR NOT EXISTS (SELECT FROM event_outbox_holds AS hold WHERE hold.key = pending.key OFFSET 0)
        )
      ORDER BY pending.id
      LIMIT $4
    ) AS claimable
  ) AS measured
  WHERE bytes_before < $5
) AS claimed
