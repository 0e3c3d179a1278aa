-- $1: ids, $2: partitions, $3: offsets. Gives the ids that were marked. A row that an operator has meanwhile discarded keeps its status.
-- Fails after 20 ms when somebody has one of the rows locked: mark-free.sql is for that. To lock each row before it is changed would cost
-- the ordinary case a tenth to a fifth of its time.
UPDATE event_outbox AS outbox
SET status = CASE outbox.status WHEN 'PENDING' THEN 'SENT' ELSE outbox.status END,
    sent_at = clock_timestamp(), partition = acknowledged.partition, "offset" = acknowledged."offset"
FROM (SELECT set_config('lock_timeout', '20ms', true) AS set OFFSET 0) AS impatient
CROSS JOIN unnest($1::bigint[], $2::integer[], $3::bigint[]) AS acknowledged (id, partition, "offset")
WHERE outbox.id = acknowledged.id
  AND impatient.set IS NOT NULL
  AND (outbox.status = 'PENDING' OR (outbox.status = 'DISCARDED' AND outbox.sent_at IS NULL))
RETURNING outbox.id::float8 AS id
