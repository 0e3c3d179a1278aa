-- $1: session, $2: below this id, $3: status or null, $4: type or null, $5: most rows. Ids are UUIDv7: the newest first.
SELECT id, session_id, command_type, status, error_message, first_version, last_version, created_at, updated_at
FROM command_inbox
WHERE session_id = $1
  AND id < $2
  AND ($3::text IS NULL OR status = $3)
  AND ($4::text IS NULL OR command_type = $4)
ORDER BY id DESC
LIMIT $5
