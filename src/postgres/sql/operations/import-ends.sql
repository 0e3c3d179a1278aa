-- Requests that were open in the backup, and that imported events have answered.
UPDATE command_inbox AS c
SET status = CASE WHEN e.reason IS NULL THEN 'COMPLETED' ELSE 'FAILED' END, error_message = e.reason, updated_at = e.at
FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS e (id, reason, at)
WHERE c.id = e.id AND c.status = 'PROCESSING'
