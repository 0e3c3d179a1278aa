-- The next sessions in id order ($1 null: from the first), at most $2, that any table knows of. Each part walks its index in order.
SELECT session_id
FROM (
  (SELECT session_id FROM genesis_sessions
   WHERE session_id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000') ORDER BY 1 LIMIT $2)
  UNION
  (SELECT DISTINCT aggregate_id FROM domain_events
   WHERE aggregate_id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000') ORDER BY 1 LIMIT $2)
  UNION
  (SELECT DISTINCT session_id FROM command_inbox
   WHERE session_id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000') ORDER BY 1 LIMIT $2)
) AS known
ORDER BY session_id
LIMIT $2
