-- $1: ids, $2: partitions, $3: offsets. Gives the ids that were marked.
-- A row that an operator has meanwhile discarded keeps its status. One that somebody has locked is left for later: the others must not wait for him.
WITH free AS (
  SELECT event_outbox.id, acknowledged.partition, acknowledged."offset"
  FROM unnest($1::bigint[], $2::integer[], $3::bigint[]) AS acknowledged (id, partition, "offset")
  JOIN event_outbox USING (id)
  WHERE event_outbox.status = 'PENDING'
  FOR NO KEY UPDATE OF event_outbox SKIP LOCKED
)
UPDATE event_outbox
SET status = 'SENT', sent_at = clock_timestamp(), partition = free.partition, "offset" = free."offset"
FROM free
WHERE event_outbox.id = free.id AND event_outbox.status = 'PENDING'
RETURNING event_outbox.id
