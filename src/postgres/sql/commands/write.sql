-- All rows of one batch in one statement. $1 is the time of what the batch ends. Each row is touched by one part only: the parts of a WITH
-- run in no defined order and see one snapshot. $47 and $48 are how many unfinished commands and sessions have to change: if one was not
-- as it had been read, the statement fails, by reading as a boolean what is none, and COMMIT, which comes with it, is not carried out.
-- JSON comes as one text per column, parted by a character that JSON does not contain. Events are in (session, version) order.
WITH inbox AS (
  INSERT INTO command_inbox (
    id, session_id, user_id, command_type, idempotency_key, fingerprint, payload, status, response,
    first_version, last_version, deadline, created_at, updated_at
  )
  SELECT i.*
  FROM unnest(
    $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], string_to_array($8, E'\x1f', ''), $9::text[],
    string_to_array($10, E'\x1f', '')::json[], $11::int[], $12::int[], $13::timestamptz[], $46::timestamptz[], $46::timestamptz[]
  ) AS i
), finished AS (
  UPDATE command_inbox AS c
  SET status = ($15::text[])[array_position($14::uuid[], c.id)], error_message = ($16::text[])[array_position($14::uuid[], c.id)],
      updated_at = $1
  -- Written so that no index on the status fits: by that all unfinished commands would be read.
  WHERE c.id = ANY ($14::uuid[]) AND c.status || '' = 'PROCESSING'
  RETURNING 1
), sessions AS MATERIALIZED (
  SELECT *
  FROM unnest(
    $17::uuid[], $18::int[], $19::text[], $20::text[], $21::text[], $22::text[], $23::text[],
    string_to_array($24, E'\x1f', '')::json[], $25::int[], $26::uuid[], $27::uuid[], $28::uuid[], $29::timestamptz[], $30::timestamptz[],
    $31::int[]
  ) AS s (
    session_id, base_version, user_id, status, current_stage, title, idea, confirmed_data,
    version, last_event_id, outstanding_request, outstanding_event, created_at, updated_at,
    schema_level
  )
), created AS (
  INSERT INTO genesis_sessions (
    session_id, user_id, status, current_stage, title, idea, confirmed_data,
    version, last_event_id, outstanding_request, outstanding_event, schema_level, created_at, updated_at
  )
  SELECT session_id, user_id, status, current_stage, title, idea, confirmed_data,
         version, last_event_id, outstanding_request, outstanding_event, schema_level, created_at, updated_at
  FROM sessions WHERE base_version = 0
  RETURNING 1
), updated AS (
  UPDATE genesis_sessions AS g
  SET status = s.status, current_stage = s.current_stage, title = s.title, idea = s.idea,
      -- NULL: as it was. It may be large, and few commands change it.
      confirmed_data = coalesce(s.confirmed_data, g.confirmed_data),
      version = s.version, last_event_id = s.last_event_id, outstanding_request = s.outstanding_request,
      outstanding_event = s.outstanding_event, schema_level = greatest(g.schema_level, s.schema_level), updated_at = s.updated_at
  FROM sessions AS s
  WHERE g.session_id = s.session_id AND g.session_id = ANY ($17::uuid[]) AND g.version = s.base_version AND s.base_version > 0
  RETURNING 1
), events AS (
  INSERT INTO domain_events (
    event_id, aggregate_type, aggregate_id, aggregate_version, event_type, event_version, payload, metadata,
    correlation_id, causation_id, created_at
  )
  SELECT event_id, 'GENESIS_SESSION', aggregate_id, aggregate_version, event_type, event_version, payload, metadata,
         correlation_id, causation_id, created_at
  FROM unnest(
    $32::uuid[], $33::uuid[], $34::int[], $35::text[], $36::int[],
    string_to_array($37, E'\x1f', '')::json[], string_to_array($38, E'\x1f', '')::json[],
    $39::uuid[], $40::uuid[], $41::timestamptz[]
  ) AS e (
    event_id, aggregate_id, aggregate_version, event_type, event_version, payload, metadata, correlation_id, causation_id,
    created_at
  )
), outbox AS (
  -- The sequence is read in the order of the rows: the ids of one session ascend with its versions.
  INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers, scheduled_at, created_at)
  SELECT event_id, topic, key, shard, sequence, payload, headers, at, at
  FROM unnest(
    $32::uuid[], string_to_array($42, E'\x1f', ''), $33::uuid[], $43::int[], $34::int[],
    string_to_array($44, E'\x1f', ''), string_to_array($45, E'\x1f', '')::json[], $41::timestamptz[]
  ) WITH ORDINALITY AS o (event_id, topic, key, shard, sequence, payload, headers, at, n)
  ORDER BY n
)
SELECT CASE
         WHEN done.finished = $47::bigint AND done.sessions = $48::bigint THEN true
         ELSE (
           'a row that the batch has locked was not as it was read; nothing is written: ' || done.finished || ' of ' || $47::bigint
           || ' commands, ' || done.sessions || ' of ' || $48::bigint || ' sessions'
         )::boolean
       END
FROM (
  SELECT (SELECT count(*) FROM finished) AS finished,
         (SELECT count(*) FROM created) + (SELECT count(*) FROM updated) AS sessions
) AS done
