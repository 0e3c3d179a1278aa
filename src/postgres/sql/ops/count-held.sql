-- $1: sessions above this one, $2: most sessions, $3: most rows of one session, $4: most rows in all.
-- In key order, so that what the last bound cuts off is what comes last.
SELECT shard,
       count(DISTINCT key)::float8 AS sessions,
       count(*) FILTER (WHERE status = 'PENDING')::float8 AS pending,
       count(*) FILTER (WHERE status = 'PENDING' AND retry_count > 0)::float8 AS waiting_for_retry,
       count(*) FILTER (WHERE status = 'PENDING' AND sequence > blocked_by AND waits_until > now())::float8 AS held,
       count(*) FILTER (WHERE status = 'FAILED')::float8 AS failed,
       count(*) FILTER (WHERE status = 'DISCARDED' AND sent_at IS NULL)::float8 AS discarded,
       extract(epoch FROM now() - min(created_at) FILTER (WHERE sent_at IS NULL))::float8 AS oldest_age,
       count(*)::float8 AS examined,
       max(n)::float8 AS longest,
       (array_agg(key ORDER BY key DESC))[1] AS last
FROM (
  SELECT hold.shard, hold.key, hold.blocked_by, hold.waits_until, outbox.*
  FROM (SELECT * FROM event_outbox_holds WHERE key > $1 ORDER BY key LIMIT $2) AS hold
  LEFT JOIN LATERAL (
    SELECT status, retry_count, sequence, sent_at, created_at, row_number() OVER (ORDER BY sequence) AS n
    FROM event_outbox
    WHERE key = hold.key AND sequence >= hold.next_sequence
    ORDER BY sequence
    LIMIT $3
  ) AS outbox ON true
  ORDER BY hold.key
  LIMIT $4
) AS counted
GROUP BY shard
