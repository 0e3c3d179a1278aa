SELECT id, session_id, command_type, status, error_message, first_version, last_version, created_at, updated_at
FROM command_inbox
WHERE id = $1 AND session_id = $2
