UPDATE genesis_sessions
SET user_id = $2, status = $3, current_stage = $4, title = $5, idea = $6, confirmed_data = $7, version = $8, last_event_id = $9,
    outstanding_request = $10, outstanding_event = $11, schema_level = $12, created_at = $13, updated_at = $14
WHERE session_id = $1
