-- Locks in id order; a session that somebody else has locked is skipped, so that one slow holder stalls nobody.
SELECT session_id, user_id, status, current_stage, title, idea, confirmed_data, version, last_event_id,
       outstanding_request, outstanding_event, schema_level, created_at, updated_at, clock_timestamp() AS now,
       (SELECT topic_ahead FROM genesis_settings) AS topic_ahead
FROM genesis_sessions
WHERE session_id = ANY ($1::uuid[])
ORDER BY session_id
FOR NO KEY UPDATE SKIP LOCKED
