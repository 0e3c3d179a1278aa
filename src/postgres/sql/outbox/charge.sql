-- $1: id, $2: its shard, $3: member, $4: the broker's words, $5: 'retry', 'fail' or 'discard', $6: milliseconds until the retry.
-- Only for a shard that the member holds, and not if somebody has the row locked. The trigger may have to wait for whoever changes the
-- same session's hold: 50 ms, then the statement fails.
-- A marker that is refused and not tried again is given up: its row counts as settled, without a position.
WITH ours AS MATERIALIZED (
  SELECT relay_shards.shard
  FROM relay_shards, (SELECT set_config('lock_timeout', '50ms', true) AS set OFFSET 0) AS impatient
  WHERE shard = $2 AND owner = $3 AND expires_at > clock_timestamp() AND impatient.set IS NOT NULL
  FOR SHARE OF relay_shards
), free AS MATERIALIZED (
  SELECT outbox.id
  FROM ours JOIN event_outbox AS outbox ON outbox.shard = ours.shard
  WHERE outbox.id = $1 AND (outbox.status = 'PENDING' OR (outbox.status = 'DISCARDED' AND outbox.sent_at IS NULL))
  FOR NO KEY UPDATE OF outbox SKIP LOCKED
), charged AS (
  UPDATE event_outbox AS outbox SET
    retry_count = outbox.retry_count + ($5 = 'retry')::integer,
    last_error = $4,
    scheduled_at = CASE $5 WHEN 'retry' THEN now() + $6::float8 * interval '1 millisecond' ELSE outbox.scheduled_at END,
    status = CASE WHEN outbox.status = 'DISCARDED' OR $5 = 'discard' THEN 'DISCARDED' WHEN $5 = 'fail' THEN 'FAILED' ELSE outbox.status END,
    sent_at = CASE WHEN outbox.status = 'DISCARDED' AND $5 <> 'retry' THEN clock_timestamp() END
  FROM free
  WHERE outbox.id = free.id AND outbox.id = $1
  RETURNING outbox.id
)
SELECT EXISTS (SELECT FROM ours) AS ours,
       EXISTS (SELECT FROM charged) AS charged,
       EXISTS (
         SELECT FROM event_outbox AS outbox
         WHERE outbox.id = $1 AND (outbox.status = 'PENDING' OR (outbox.status = 'DISCARDED' AND outbox.sent_at IS NULL))
       ) AS waits
