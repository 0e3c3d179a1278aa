-- By the shard's owner only: a relay that was frozen might tell what has been mended since.
WITH told AS (
  UPDATE relay_shards SET topic_ahead_at = $3, state = 'topic-ahead'
  WHERE shard = $2 AND owner = $1 AND expires_at > clock_timestamp()
  RETURNING shard
)
UPDATE genesis_settings SET topic_ahead = true
FROM told
RETURNING told.shard
