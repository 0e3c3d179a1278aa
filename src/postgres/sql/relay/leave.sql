-- Who delivered exactly once stays as expired until the next member joins: it is to know how things were done before it.
WITH expired AS (
  UPDATE relay_members SET expires_at = least(expires_at, clock_timestamp()) WHERE id = $1 AND delivery = 'exactly-once'
)
DELETE FROM relay_members WHERE id = $1 AND delivery <> 'exactly-once'
