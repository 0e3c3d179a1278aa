-- Runs after the locks: a new snapshot sees what their former holders committed. A row without key is an unfinished command.
SELECT id, session_id, user_id, command_type, NULL AS idempotency_key, NULL AS fingerprint, NULL::json AS response
FROM command_inbox
WHERE session_id = ANY ($1::uuid[]) AND status IN ('RECEIVED', 'PROCESSING')
UNION ALL
SELECT c.id, c.session_id, c.user_id, c.command_type, c.idempotency_key, c.fingerprint, c.response
FROM unnest($2::uuid[], $3::text[], $4::text[]) AS k (session_id, user_id, idempotency_key)
JOIN command_inbox AS c USING (session_id, user_id, idempotency_key)
WHERE c.idempotency_key IS NOT NULL AND c.command_type <> 'CreateSession'
UNION ALL
SELECT c.id, c.session_id, c.user_id, c.command_type, c.idempotency_key, c.fingerprint, c.response
FROM unnest($5::text[], $6::text[]) AS k (user_id, idempotency_key)
JOIN command_inbox AS c USING (user_id, idempotency_key)
WHERE c.idempotency_key IS NOT NULL AND c.command_type = 'CreateSession'
