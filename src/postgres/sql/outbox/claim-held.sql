-- $1: shards, $2: most rows, $3: most bytes of payload (the first row comes whatever its size), $4: ids to leave out, $5: sessions to
-- leave out. To be asked for shards that a claim has just found to be ours.
-- Of sessions on hold that may go on: their rows that are not settled, in order, up to the first that is FAILED or waits for its retry.
-- `stuck`: there is no such row to begin with: what is known of the hold is to be looked at again (settle-holds.sql).
-- Of each shard's holds no more are read than one claim gives, in the order of their index, and as many more as ids are left out: sessions
-- whose rows are all with the relay already take nobody's place.
-- Of each session no more is read than twice its share of the rows: one that is on its way takes the first half.
-- Who waits since a time that lies ahead has seen the clock set back. scheduled_at counts no further ahead than any retry is put off.
SELECT id::float8 AS id, event_id, topic, session AS key, shard, sequence, CASE status WHEN 'PENDING' THEN payload END AS payload,
       headers, retry_count, max_retries, date_part('epoch', created_at) * 1000 AS created_at, stuck
FROM (
  SELECT *, sum(bytes) OVER (ORDER BY session, sequence) - bytes AS bytes_before
  FROM (
    SELECT hold.key AS session, mine.*,
           CASE WHEN mine.status = 'PENDING' THEN octet_length(mine.payload) ELSE 0 END AS bytes,
           mine.id IS NULL OR mine.stopped AS stuck
    FROM (
      SELECT key, next_sequence, count(*) OVER () AS sessions
      FROM (
        SELECT of_shard.*
        FROM unnest($1::integer[]) AS asked (shard)
        CROSS JOIN LATERAL (
          SELECT key, next_sequence, waits_until
          FROM event_outbox_holds AS hold
          WHERE hold.shard = asked.shard
            AND hold.waits_until < 'infinity' AND (hold.waits_until <= now() OR hold.waits_since > now())
            AND hold.key NOT IN (SELECT unnest($5::uuid[]))
          ORDER BY hold.waits_until, hold.key
          LIMIT $2 + cardinality($4::bigint[])
        ) AS of_shard
        ORDER BY of_shard.waits_until, of_shard.key
        LIMIT $2 + cardinality($4::bigint[])
      ) AS ready
    ) AS hold
    LEFT JOIN LATERAL (
      SELECT *, bool_or(waits) OVER (ORDER BY sequence) AS stopped, row_number() OVER (ORDER BY sequence) AS place
      FROM (
        SELECT *,
               status = 'FAILED' OR (retry_count > 0 AND scheduled_at > now() AND scheduled_at <= now() + interval '1 hour 5 seconds') AS waits
        FROM event_outbox
        WHERE event_outbox.key = hold.key AND event_outbox.sequence >= hold.next_sequence
          AND (status IN ('PENDING', 'FAILED') OR (status = 'DISCARDED' AND sent_at IS NULL))
        ORDER BY event_outbox.sequence
        LIMIT 2 * ceil($2::float8 / hold.sessions)
      ) AS unsettled
    ) AS mine ON true
    WHERE (mine.id IS NULL OR NOT mine.stopped OR mine.place = 1)
      AND coalesce(mine.id, 0) NOT IN (SELECT unnest($4::bigint[]))
    ORDER BY hold.key, mine.sequence
    LIMIT $2
  ) AS sendable
) AS measured
WHERE bytes_before < $3
ORDER BY session, sequence
