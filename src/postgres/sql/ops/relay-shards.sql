-- A lease that has expired is nobody's, whatever the row still says.
SELECT relay_shards.shard,
       CASE WHEN live.live THEN owner END AS owner,
       CASE WHEN live.live THEN relay_members.name END AS owner_name,
       CASE WHEN live.live THEN extract(epoch FROM relay_shards.expires_at - clock_timestamp())::float8 END AS lease_expires_in,
       CASE WHEN live.live THEN state ELSE 'free' END AS state,
       paused,
       topic_ahead_at::text AS topic_ahead_at,
       epoch::float8 AS epoch,
       floor::float8 AS floor,
       position::text AS position,
       last_progress_at,
       last_error
FROM relay_shards
CROSS JOIN LATERAL (SELECT owner IS NOT NULL AND relay_shards.expires_at > clock_timestamp() AS live) AS live
LEFT JOIN relay_members ON relay_members.id = owner
ORDER BY shard
