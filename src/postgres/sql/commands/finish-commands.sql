-- $5 is how many there are, $6 their sessions: whichever index is taken, by its first column. If a command is not PROCESSING the statement
-- fails, by reading as a boolean what is none, and COMMIT, which comes with it, is not carried out.
WITH finished AS (
  UPDATE command_inbox AS c
  SET status = ($3::text[])[array_position($2::uuid[], c.id)], error_message = ($4::text[])[array_position($2::uuid[], c.id)],
      updated_at = $1
  -- Written so that no index on the status fits: by that all unfinished commands would be read.
  WHERE c.id = ANY ($2::uuid[]) AND c.session_id = ANY ($6::uuid[]) AND c.status || '' = 'PROCESSING'
  RETURNING 1
)
SELECT CASE
         WHEN count(*) = $5::bigint THEN true
         ELSE (
           'a command that the batch has locked was not as it was read; nothing is written: ' || count(*) || ' of ' || $5::bigint
         )::boolean
       END
FROM finished
