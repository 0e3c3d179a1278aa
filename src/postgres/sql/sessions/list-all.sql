-- $1: below this id, $2: status or null, $3: stage or null, $4: most rows. Ids are UUIDv7: the newest first.
SELECT session_id, user_id, status, current_stage, title, idea, confirmed_data, version, last_event_id,
       outstanding_request, outstanding_event, created_at, updated_at
FROM genesis_sessions
WHERE session_id < $1
  AND ($2::text IS NULL OR status = $2)
  AND ($3::text IS NULL OR current_stage = $3)
ORDER BY session_id DESC
LIMIT $4
