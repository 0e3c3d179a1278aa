-- Runs after the locks: a new snapshot sees what their former holders committed. A row without key is an unfinished command.
-- Each key is looked up by itself (OFFSET 0): a plan made while there were few keys would read all of them.
SELECT id, session_id, user_id, command_type, NULL AS idempotency_key, NULL AS fingerprint, NULL::json AS response
FROM command_inbox
WHERE session_id = ANY ($1::uuid[]) AND status IN ('RECEIVED', 'PROCESSING')
UNION ALL
SELECT bound.*
FROM unnest($2::uuid[], $3::text[], $4::text[]) AS k (session_id, user_id, idempotency_key)
CROSS JOIN LATERAL (
  SELECT id, session_id, user_id, command_type, idempotency_key, fingerprint, response
  FROM command_inbox AS c
  WHERE c.session_id = k.session_id AND c.user_id = k.user_id AND c.idempotency_key = k.idempotency_key
    AND c.idempotency_key IS NOT NULL AND c.command_type <> 'CreateSession'
  OFFSET 0
) AS bound
UNION ALL
SELECT bound.*
FROM unnest($5::text[], $6::text[]) AS k (user_id, idempotency_key)
CROSS JOIN LATERAL (
  SELECT id, session_id, user_id, command_type, idempotency_key, fingerprint, response
  FROM command_inbox AS c
  WHERE c.user_id = k.user_id AND c.idempotency_key = k.idempotency_key
    AND c.idempotency_key IS NOT NULL AND c.command_type = 'CreateSession'
  OFFSET 0
) AS bound
