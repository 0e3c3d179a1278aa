-- $1: lowest id, $2: most rows to look at, $3: milliseconds that settled rows are kept. One row.
-- Ids ascend with created_at, as far as clocks do, and no row is settled before it is written: at the first that is younger the pass ends.
-- A DISCARDED row stays for good: without it nobody would know that the event is not to be published.
-- "GENC", 0: one process at a time, until this transaction ends. Whoever does not get the lock sees no rows.
WITH turn AS MATERIALIZED (
  SELECT pg_try_advisory_xact_lock(1195724355, 0) AS ours
), page AS MATERIALIZED (
  SELECT id, status, sent_at, created_at
  FROM event_outbox
  WHERE id >= $1 AND (SELECT ours FROM turn)
  ORDER BY id
  LIMIT $2
), old AS MATERIALIZED (
  SELECT id, sent_at < now() - $3::float8 * interval '1 millisecond' AND status = 'SENT' AS removable,
         status = 'DISCARDED' AND sent_at IS NOT NULL AS stays_for_good
  FROM page
  WHERE created_at < now() - $3::float8 * interval '1 millisecond'
), removed AS (
  DELETE FROM event_outbox
  WHERE id = ANY (ARRAY(SELECT id FROM old WHERE removable))
  RETURNING 1
)
SELECT (SELECT count(*) FROM removed)::float8 AS removed,
       (SELECT min(id) FROM old WHERE removable IS NOT TRUE AND NOT stays_for_good)::float8 AS stayed,
       CASE WHEN (SELECT count(*) FROM old) = $2 THEN (SELECT max(id) FROM old)::float8 + 1 END AS next
