-- JSON comes as one text per column, parted by a character that JSON does not contain; so it does in the statements after this one.
INSERT INTO command_inbox (
  id, session_id, user_id, command_type, idempotency_key, fingerprint, payload, status, response,
  first_version, last_version, deadline, created_at, updated_at
)
SELECT i.*
FROM unnest(
  $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], string_to_array($7, E'\x1f', ''), $8::text[],
  string_to_array($9, E'\x1f', '')::json[], $10::int[], $11::int[], $12::timestamptz[], $13::timestamptz[], $13::timestamptz[]
) AS i
