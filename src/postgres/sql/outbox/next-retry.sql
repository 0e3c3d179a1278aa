-- $1: member, $2: shards, $3: sessions to leave out.
-- Milliseconds until the next session on hold may go on, 0 or less if one may; who waits for an operator does not count.
SELECT extract(epoch FROM min(CASE WHEN hold.waits_since > now() THEN now() ELSE greatest(hold.waits_until, now()) END) - now())::float8
         * 1000 AS milliseconds
FROM event_outbox_holds AS hold
JOIN relay_shards AS ours ON ours.shard = hold.shard
WHERE hold.waits_until < 'infinity'
  AND hold.key NOT IN (SELECT unnest($3::uuid[]))
  AND ours.shard = ANY ($2::integer[]) AND ours.owner = $1 AND ours.expires_at > clock_timestamp() AND NOT ours.paused
  AND NOT EXISTS (SELECT FROM genesis_settings WHERE only_row AND topic_ahead)
