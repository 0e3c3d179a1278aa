-- Marks the rows of records that were found in the topic ($1 partitions, $2 offsets, $3 keys, $4 sequences, $5 event ids, $6 whether it is
-- the marker of a discarded event). Of several records of one event the first counts. One row per row that was not marked before.
-- A row that was passed over would be sent a second time, so locked ones are waited for: shortly, then the statement fails.
WITH record AS MATERIALIZED (
  SELECT DISTINCT ON (key, sequence) *
  FROM unnest($1::integer[], $2::bigint[], $3::uuid[], $4::integer[], $5::uuid[], $6::boolean[]) WITH ORDINALITY
    AS record (partition, "offset", key, sequence, event_id, discarded, place)
  ORDER BY key, sequence, place
)
UPDATE event_outbox AS outbox
SET status = CASE WHEN outbox.status = 'DISCARDED' OR record.discarded THEN 'DISCARDED' ELSE 'SENT' END,
    sent_at = clock_timestamp(), partition = record.partition, "offset" = record."offset"
FROM (SELECT set_config('lock_timeout', '250ms', true) AS set OFFSET 0) AS impatient
CROSS JOIN record
WHERE outbox.key = record.key AND outbox.sequence = record.sequence AND outbox.event_id = record.event_id
  AND impatient.set IS NOT NULL
  AND (outbox.status = 'PENDING' OR (outbox.status = 'DISCARDED' AND outbox.sent_at IS NULL))
RETURNING outbox.id::float8 AS id
