-- $1: session, $2: below this id, $3: status or null, $4: type or null, $5: most rows. Ids are UUIDv7: the newest first.
-- A range of (session_id, id) rather than `session_id = $1`: only that index has its order, so the planner walks no other.
SELECT id, session_id, command_type, status, error_message, first_version, last_version, created_at, updated_at
FROM command_inbox
WHERE session_id >= $1
  AND (session_id, id) < ($1, $2)
  AND ($3::text IS NULL OR status = $3)
  AND ($4::text IS NULL OR command_type = $4)
ORDER BY session_id DESC, id DESC
LIMIT $5
