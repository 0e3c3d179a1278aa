-- $1: member, $2: shard, $3: offset, $4: event id, or null if it is none. By the shard's owner only: a relay that was frozen might tell what
-- has been mended since. And not if the event has been imported since the relay looked: commands would stay refused for good.
WITH ours AS MATERIALIZED (
  SELECT shard FROM relay_shards WHERE shard = $2 AND owner = $1 AND expires_at > clock_timestamp() FOR UPDATE
), told AS (
  UPDATE relay_shards SET topic_ahead_at = $3, state = 'topic-ahead'
  FROM ours
  WHERE relay_shards.shard = ours.shard AND NOT EXISTS (SELECT FROM domain_events WHERE event_id = $4::uuid)
  RETURNING ours.shard
), closed AS (
  UPDATE genesis_settings SET topic_ahead = true FROM told
)
SELECT shard FROM ours
