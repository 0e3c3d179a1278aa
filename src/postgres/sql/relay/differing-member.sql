-- A member that is alive and has another delivery mode than $1. A row becomes visible when its session already holds the member's lock.
SELECT id, name, delivery
FROM relay_members
WHERE delivery <> $1
  AND expires_at > clock_timestamp()
  AND id IN (
    SELECT objid::bigint FROM pg_locks
    WHERE locktype = 'advisory' AND classid = 1195724365 AND objsubid = 2 AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  )
ORDER BY id
LIMIT 1
