SELECT 1 FROM genesis_sessions WHERE session_id = $1 FOR NO KEY UPDATE
