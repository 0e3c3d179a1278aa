-- $1: action, $2: actor, $3: call, each or null; $4: below this id or null, $5: most rows. Newest first.
SELECT id::float8 AS id, at, call_id, actor, via, action, filter, reason, event_ids, shards
FROM operator_actions
WHERE ($1::text IS NULL OR action = $1)
  AND ($2::text IS NULL OR actor = $2)
  AND ($3::uuid IS NULL OR call_id = $3)
  AND id < coalesce($4, 9223372036854775807)
ORDER BY id DESC
LIMIT $5
