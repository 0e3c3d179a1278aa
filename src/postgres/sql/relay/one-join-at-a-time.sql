-- "GENM", 0: no member has this id. Until the transaction ends.
SELECT pg_advisory_xact_lock(1195724365, 0)
