-- Held until the end of the transaction. Gives those that were free: nobody waits for a lock that somebody else holds, because a
-- whole batch would wait with it.
SELECT hash FROM unnest($1::bigint[]) AS k (hash) WHERE pg_try_advisory_xact_lock(hash)
