-- $1: from this id on, $2: most rows. Sessions on hold are counted by count-held.
-- The bound stands inside, before anything is judged: however many SENT rows there are, no more are read.
SELECT shard,
       count(*) FILTER (WHERE waits)::float8 AS pending,
       extract(epoch FROM now() - min(created_at) FILTER (WHERE waits))::float8 AS oldest_age,
       count(*)::float8 AS examined,
       max(id)::float8 AS last
FROM (
  SELECT id, shard, created_at,
         status = 'PENDING' AND NOT EXISTS (SELECT FROM event_outbox_holds AS hold WHERE hold.key = looked_at.key) AS waits
  FROM (SELECT id, shard, key, status, created_at FROM event_outbox WHERE id >= $1 ORDER BY id LIMIT $2) AS looked_at
) AS judged
GROUP BY shard
