-- Marks the rows of records that were found in the topic ($1 partitions, $2 offsets, $3 keys, $4 sequences, $5 event ids, $6 whether it is
-- the marker of a discarded event). Of several records of one event the first counts. One row per row that was not marked before: `place`
-- is that of the record (from 1), `marked` is false for one that somebody has locked: it is not to be sent again, and to be marked later.
WITH record AS MATERIALIZED (
  SELECT DISTINCT ON (key, sequence) *
  FROM unnest($1::integer[], $2::bigint[], $3::uuid[], $4::integer[], $5::uuid[], $6::boolean[]) WITH ORDINALITY
    AS record (partition, "offset", key, sequence, event_id, discarded, place)
  ORDER BY key, sequence, place
), open AS MATERIALIZED (
  SELECT outbox.id, record.*
  FROM record JOIN event_outbox AS outbox USING (key, sequence, event_id)
  WHERE outbox.status = 'PENDING' OR (outbox.status = 'DISCARDED' AND outbox.sent_at IS NULL)
), free AS MATERIALIZED (
  SELECT id FROM event_outbox WHERE id IN (SELECT id FROM open) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
), marked AS (
  UPDATE event_outbox AS outbox
  SET status = CASE WHEN outbox.status = 'DISCARDED' OR open.discarded THEN 'DISCARDED' ELSE 'SENT' END,
      sent_at = clock_timestamp(), partition = open.partition, "offset" = open."offset"
  FROM open JOIN free USING (id)
  WHERE outbox.id = open.id AND (outbox.status = 'PENDING' OR (outbox.status = 'DISCARDED' AND outbox.sent_at IS NULL))
  RETURNING outbox.id
)
SELECT open.id::float8 AS id, open.place::float8 AS place, marked.id IS NOT NULL AS marked
FROM open LEFT JOIN marked USING (id)
