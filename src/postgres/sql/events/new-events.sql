-- $1 and $2: sessions and the version after which each is read; $3 and $4: most events and bytes for each of them, $5 and $6: in
-- all. The first event comes whatever its size. One walk along the primary key per session, in the order of the arrays, that
-- ends where a bound is reached; the windows add up rows as they come and sort nothing.
SELECT n, event_id, event_type, event_version, aggregate_id, aggregate_version, correlation_id, causation_id, created_at, payload,
       octets
FROM (
  SELECT followed.n::integer AS n, event.*, sum(event.octets) OVER (ROWS UNBOUNDED PRECEDING) - event.octets AS octets_before_all
  FROM unnest($1::uuid[], $2::integer[]) WITH ORDINALITY AS followed (session_id, after, n)
  CROSS JOIN LATERAL (
    SELECT *
    FROM (
      SELECT *, sum(octets) OVER (ORDER BY aggregate_version) - octets AS octets_before
      FROM (
        SELECT *, octet_length(payload::text) AS octets
        FROM domain_events
        WHERE aggregate_id = followed.session_id AND aggregate_version > followed.after
        ORDER BY aggregate_version
        LIMIT $3
      ) AS next
    ) AS measured
    WHERE octets_before < $4
  ) AS event
  LIMIT $5
) AS bounded
WHERE octets_before_all < $6
