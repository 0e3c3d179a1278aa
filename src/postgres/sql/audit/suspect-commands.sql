-- Commands that are unfinished, or that name a version which the session does not have. Normally next to none.
SELECT id, session_id, unfinished, first_version, last_version, versions_exist
FROM (
  SELECT c.id, c.session_id, c.first_version, c.last_version, c.status IN ('RECEIVED', 'PROCESSING') AS unfinished,
         EXISTS (SELECT FROM domain_events AS e WHERE e.aggregate_id = c.session_id AND e.aggregate_version = c.first_version)
         AND EXISTS (SELECT FROM domain_events AS e WHERE e.aggregate_id = c.session_id AND e.aggregate_version = c.last_version)
           AS versions_exist
  FROM command_inbox AS c
  WHERE c.session_id = ANY ($1::uuid[])
  OFFSET 0
) AS command
WHERE unfinished OR NOT versions_exist
ORDER BY session_id, id
