-- Locks in id order, as commands do. A session without a row is not locked: nobody else can create it under its id.
SELECT session_id FROM genesis_sessions WHERE session_id = ANY ($1::uuid[]) ORDER BY session_id FOR NO KEY UPDATE
