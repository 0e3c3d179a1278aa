SELECT session_id, user_id, status, current_stage, title, idea, confirmed_data, version, last_event_id,
       outstanding_request, outstanding_event, created_at, updated_at
FROM genesis_sessions
WHERE session_id = $1
