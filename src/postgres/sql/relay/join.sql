-- $1 name, $2 delivery, $3 term in milliseconds. The session holds the member's lock from here on: when it ends, others see it at once.
INSERT INTO relay_members (name, delivery, expires_at)
VALUES ($1, $2, clock_timestamp() + $3 * interval '1 millisecond')
RETURNING id, current_database() AS database, pg_advisory_lock(1195724365, id) IS NOT NULL AS locked
