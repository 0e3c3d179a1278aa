SELECT session_id FROM genesis_sessions WHERE session_id = ANY ($1::uuid[])
