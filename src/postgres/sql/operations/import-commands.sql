-- Commands as their events tell them. An open request gets its whole time anew ($11, in milliseconds): nobody could answer it meanwhile.
-- A command whose events came in two steps is there already.
INSERT INTO command_inbox (
  id, session_id, user_id, command_type, payload, status, response, first_version, last_version, error_message, deadline,
  created_at, updated_at
)
SELECT id, session_id, user_id, command_type, payload,
       CASE WHEN NOT open THEN 'COMPLETED' WHEN ended_at IS NULL THEN 'PROCESSING' WHEN reason IS NULL THEN 'COMPLETED' ELSE 'FAILED' END,
       json_build_object(
         'commandId', id, 'sessionId', session_id, 'status', CASE WHEN open THEN 'PROCESSING' ELSE 'COMPLETED' END,
         'version', last_version, 'session', NULL
       ),
       first_version, last_version, CASE WHEN open THEN reason END,
       CASE WHEN open THEN clock_timestamp() + $11::float8 * interval '1 millisecond' END,
       created_at, coalesce(ended_at, created_at)
FROM unnest(
  $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::integer[], $8::integer[], $9::timestamptz[]
) AS c (id, session_id, user_id, command_type, payload, open, first_version, last_version, created_at)
LEFT JOIN unnest($10::uuid[], $12::text[], $13::timestamptz[]) AS e (ended, reason, ended_at) ON e.ended = c.id
ON CONFLICT (id) DO UPDATE SET last_version = greatest(command_inbox.last_version, EXCLUDED.last_version)
