-- Times in milliseconds with their fraction: a row must be exactly what its events say.
SELECT session_id, user_id, status, current_stage, title, idea, confirmed_data, version, last_event_id,
       outstanding_request, outstanding_event, schema_level,
       (extract(epoch FROM created_at) * 1000)::float8 AS created_at, (extract(epoch FROM updated_at) * 1000)::float8 AS updated_at
FROM genesis_sessions
WHERE session_id = ANY ($1::uuid[])
