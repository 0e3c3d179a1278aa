-- $1: session, $2: above this version, $3: most events, $4: most bytes of payload (the first event comes whatever its size).
SELECT event_id, event_type, event_version, aggregate_id, aggregate_version, correlation_id, causation_id, created_at, payload,
       octets
FROM (
  SELECT *, sum(octets) OVER (ORDER BY aggregate_version) - octets AS octets_before
  FROM (
    SELECT *, octet_length(payload::text) AS octets
    FROM domain_events
    WHERE aggregate_id = $1 AND aggregate_version > $2
    ORDER BY aggregate_version
    LIMIT $3
  ) AS next
) AS measured
WHERE octets_before < $4
ORDER BY aggregate_version
