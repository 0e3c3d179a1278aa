-- $1: ids, $2: partitions, $3: offsets. A row that an operator has meanwhile discarded keeps its status.
UPDATE event_outbox
SET status = 'SENT', sent_at = clock_timestamp(), partition = acknowledged.partition, "offset" = acknowledged."offset"
FROM unnest($1::bigint[], $2::integer[], $3::bigint[]) AS acknowledged (id, partition, "offset")
WHERE event_outbox.id = acknowledged.id AND event_outbox.status = 'PENDING'
