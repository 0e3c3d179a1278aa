-- $1: member, $2: sessions. Says anew how far these sessions on hold have come, by the table; only for shards that the member holds.
-- A session of which nothing is left to send leaves the hold. That is decided while nobody else can claim of its shard: the
-- lease is locked. A hold that somebody has locked, or has changed since it was read, is passed over; it is looked at again.
WITH ours AS MATERIALIZED (
  SELECT shard FROM relay_shards
  WHERE owner = $1 AND expires_at > clock_timestamp()
    AND shard IN (SELECT shard FROM event_outbox_holds WHERE key = ANY ($2::uuid[]))
  ORDER BY shard
  FOR SHARE
), seen AS MATERIALIZED (
  SELECT hold.key, hold.xmin AS version, hold.next_sequence, hold.blocked_by, first.sequence, first.status,
         first.status = 'FAILED' OR (first.retry_count > 0 AND first.scheduled_at > now()
           AND first.scheduled_at <= now() + interval '1 hour 5 seconds') AS waits,
         first.scheduled_at
  FROM event_outbox_holds AS hold
  JOIN ours USING (shard)
  LEFT JOIN LATERAL (
    SELECT sequence, status, retry_count, scheduled_at
    FROM event_outbox
    WHERE event_outbox.key = hold.key AND event_outbox.sequence >= hold.next_sequence
      AND (status IN ('PENDING', 'FAILED') OR (status = 'DISCARDED' AND sent_at IS NULL))
    ORDER BY event_outbox.sequence
    LIMIT 1
  ) AS first ON true
  WHERE hold.key = ANY ($2::uuid[])
), free AS MATERIALIZED (
  SELECT seen.*
  FROM seen JOIN event_outbox_holds AS hold ON hold.key = seen.key AND hold.xmin = seen.version
  WHERE hold.key = ANY ($2::uuid[]) AND (
    seen.sequence IS NULL OR seen.sequence <> seen.next_sequence
    OR seen.blocked_by IS DISTINCT FROM CASE WHEN seen.waits THEN seen.sequence END
    OR (seen.waits AND (hold.waits_until <= now() OR hold.waits_since > now()))
  )
  FOR UPDATE OF hold SKIP LOCKED
), left_the_hold AS (
  DELETE FROM event_outbox_holds AS hold USING free
  WHERE hold.key = free.key AND hold.key = ANY ($2::uuid[]) AND free.sequence IS NULL
)
UPDATE event_outbox_holds AS hold SET
  next_sequence = free.sequence,
  blocked_by = CASE WHEN free.waits THEN free.sequence END,
  waits_until = CASE WHEN free.waits AND free.status = 'FAILED' THEN 'infinity' WHEN free.waits THEN free.scheduled_at ELSE '-infinity' END,
  waits_since = now()
FROM free
WHERE hold.key = free.key AND hold.key = ANY ($2::uuid[]) AND free.sequence IS NOT NULL
