-- $14 is how many there are. If one has another version than it was read with the statement fails, by reading as a boolean what is
-- none, and COMMIT, which comes with it, is not carried out.
WITH updated AS (
  UPDATE genesis_sessions AS g
  SET status = s.status, current_stage = s.current_stage, title = s.title, idea = s.idea,
      -- NULL: as it was. It may be large, and few commands change it.
      confirmed_data = coalesce(s.confirmed_data, g.confirmed_data),
      version = s.version, last_event_id = s.last_event_id, outstanding_request = s.outstanding_request,
      outstanding_event = s.outstanding_event, schema_level = greatest(g.schema_level, s.schema_level), updated_at = s.updated_at
  FROM unnest(
    $1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], string_to_array($7, E'\x1f', '')::json[],
    $8::int[], $9::uuid[], $10::uuid[], $11::uuid[], $12::int[], $13::timestamptz[]
  ) AS s (
    session_id, base_version, status, current_stage, title, idea, confirmed_data,
    version, last_event_id, outstanding_request, outstanding_event, schema_level, updated_at
  )
  -- The list besides: with the join alone PostgreSQL may read the whole index.
  WHERE g.session_id = s.session_id AND g.session_id = ANY ($1::uuid[]) AND g.version = s.base_version
  RETURNING 1
)
SELECT CASE
         WHEN count(*) = $14::bigint THEN true
         ELSE (
           'a session that the batch has locked was not as it was read; nothing is written: ' || count(*) || ' of ' || $14::bigint
         )::boolean
       END
FROM updated
