-- A row that appeared meanwhile is somebody else's, and may be ahead of what was read: it stays.
INSERT INTO genesis_sessions (
  session_id, user_id, status, current_stage, title, idea, confirmed_data, version, last_event_id,
  outstanding_request, outstanding_event, schema_level, created_at, updated_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (session_id) DO NOTHING
