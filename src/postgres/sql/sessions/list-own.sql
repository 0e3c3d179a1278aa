-- $1: user, $2: below this id, $3: status or null, $4: stage or null, $5: most rows. Ids are UUIDv7: the newest first.
-- A range of (user_id, session_id) rather than `user_id = $1`: only that index has its order. With the equality the planner may
-- walk the primary key past everybody's sessions when it knows of few users.
SELECT session_id, user_id, status, current_stage, title, idea, confirmed_data, version, last_event_id,
       outstanding_request, outstanding_event, created_at, updated_at
FROM genesis_sessions
WHERE user_id >= $1
  AND (user_id, session_id) < ($1, $2)
  AND ($3::text IS NULL OR status = $3)
  AND ($4::text IS NULL OR current_stage = $4)
ORDER BY user_id DESC, session_id DESC
LIMIT $5
