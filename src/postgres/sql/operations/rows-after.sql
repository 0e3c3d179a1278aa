-- The outbox rows after $1 in id order, at most $2; with what it takes to know later that no row can appear between them any more.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS oldest, pg_snapshot_xmax(pg_current_snapshot())::text AS next,
       (SELECT json_agg(page) FROM (
          SELECT id, topic, key, sequence, event_id, status, partition, "offset"::text AS "offset",
                 (extract(epoch FROM sent_at) * 1000)::float8 AS sent_at
          FROM event_outbox WHERE id > $1 ORDER BY id LIMIT $2
        ) AS page) AS rows
