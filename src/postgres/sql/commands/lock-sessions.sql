-- Locks in id order; a session that somebody else has locked is skipped, so that one slow holder stalls nobody. Each is looked up by
-- itself: for a list alone PostgreSQL may read the index by authors, skipping from one to the next. The list keeps it from reading the
-- whole index once, as would seem cheap while the table is believed to be empty.
SELECT session.session_id, user_id, status, current_stage, title, idea, confirmed_data, version, last_event_id,
       outstanding_request, outstanding_event, schema_level,
       date_part('epoch', created_at) * 1000, date_part('epoch', updated_at) * 1000
FROM unnest($1::uuid[]) AS wanted (session_id)
JOIN genesis_sessions AS session ON session.session_id = wanted.session_id AND session.session_id = ANY ($1::uuid[])
ORDER BY session.session_id
FOR NO KEY UPDATE OF session SKIP LOCKED
