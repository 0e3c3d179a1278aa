-- The lock "GENE", 0: a relay of a version without shards takes it for itself, those with shards share it.
SELECT pg_try_advisory_lock_shared(1195724357, 0) AS shared
