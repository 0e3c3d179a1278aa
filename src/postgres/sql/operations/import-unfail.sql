-- What FAILED in the backup was published since: the way to SENT leads through PENDING.
UPDATE event_outbox AS o SET status = 'PENDING'
FROM unnest($1::uuid[], $2::integer[]) AS f (key, sequence)
WHERE o.key = f.key AND o.sequence = f.sequence AND o.status = 'FAILED'
