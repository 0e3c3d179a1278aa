SELECT id, name, delivery, joined_at,
       extract(epoch FROM expires_at - clock_timestamp())::float8 AS expires_in,
       coalesce((SELECT array_agg(shard ORDER BY shard) FROM relay_shards
                 WHERE owner = relay_members.id AND relay_shards.expires_at > clock_timestamp()), '{}') AS shards
FROM relay_members
ORDER BY id
