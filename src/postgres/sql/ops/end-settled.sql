-- $1 and $2: bounds of the id or null, $3: from this id down or null, as in find-settled; $4: how many rows were looked at. The
-- first that was not.
SELECT id::float8 AS at
FROM event_outbox
WHERE id <= least($2, coalesce($3, 9223372036854775807)) AND id >= coalesce($1, 1)
ORDER BY id DESC
OFFSET $4
LIMIT 1
