-- Rows whose records were found become what they were when the records were sent. Those that are settled stay as they are.
UPDATE event_outbox AS o
SET status = CASE WHEN f.marker OR o.status = 'DISCARDED' THEN 'DISCARDED' ELSE 'SENT' END,
    sent_at = f.sent_at, partition = f.partition, "offset" = f."offset"
FROM unnest($1::uuid[], $2::integer[], $3::integer[], $4::bigint[], $5::timestamptz[], $6::boolean[])
  AS f (key, sequence, partition, "offset", sent_at, marker)
WHERE o.key = f.key AND o.sequence = f.sequence
  AND (o.status = 'PENDING' OR (o.status = 'DISCARDED' AND o.sent_at IS NULL))
