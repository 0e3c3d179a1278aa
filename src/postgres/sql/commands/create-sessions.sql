INSERT INTO genesis_sessions (
  session_id, user_id, status, current_stage, title, idea, confirmed_data,
  version, last_event_id, outstanding_request, outstanding_event, schema_level, created_at, updated_at
)
SELECT s.*
FROM unnest(
  $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], string_to_array($7, E'\x1f', '')::json[],
  $8::int[], $9::uuid[], $10::uuid[], $11::uuid[], $12::int[], $13::timestamptz[], $14::timestamptz[]
) AS s
