-- Locks in id order; a session that somebody else has locked is skipped, so that one slow holder stalls nobody.
SELECT session_id, user_id, status, current_stage, title, idea, confirmed_data, version, last_event_id,
       outstanding_request, outstanding_event, schema_level,
       date_part('epoch', created_at) * 1000, date_part('epoch', updated_at) * 1000
FROM genesis_sessions
WHERE session_id = ANY ($1::uuid[])
ORDER BY session_id
FOR NO KEY UPDATE SKIP LOCKED
