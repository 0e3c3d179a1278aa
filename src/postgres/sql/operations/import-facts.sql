-- Which events stand at the places ($1, $2), and the last event of each of their sessions.
SELECT 'known' AS kind, e.aggregate_id AS session_id, e.aggregate_version AS sequence, e.event_id
FROM unnest($1::uuid[], $2::integer[]) AS p (session_id, sequence)
CROSS JOIN LATERAL (
  SELECT * FROM domain_events WHERE aggregate_id = p.session_id AND aggregate_version = p.sequence OFFSET 0
) AS e
UNION ALL
SELECT 'head', e.aggregate_id, e.aggregate_version, e.event_id
FROM (SELECT DISTINCT session_id FROM unnest($1::uuid[]) AS s (session_id)) AS s
CROSS JOIN LATERAL (
  SELECT * FROM domain_events WHERE aggregate_id = s.session_id ORDER BY aggregate_version DESC LIMIT 1
) AS e
