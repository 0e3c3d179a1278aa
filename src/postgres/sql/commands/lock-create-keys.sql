-- Held until the end of the transaction. The keys come sorted, so that two batches cannot wait for each other.
SELECT pg_advisory_xact_lock(hash) FROM (SELECT hash FROM unnest($1::bigint[]) WITH ORDINALITY AS k (hash, n) ORDER BY n OFFSET 0) AS k
