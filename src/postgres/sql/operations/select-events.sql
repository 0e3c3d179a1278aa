-- The events after the place ($1, $2), at most $3 and some $4 bytes of payload (one at least): $5: of this session only, $6 and $7: with
-- their text only if they happened in this time. The event before each is looked up: it may be outside of what is selected.
SELECT page.event_id, page.aggregate_id, page.aggregate_version, page.event_type, page.event_version,
       CASE WHEN page.wanted THEN page.payload END AS payload, page.metadata, page.correlation_id, page.causation_id, page.occurred_at,
       page.wanted, before.event_id AS previous, coalesce(o.status = 'DISCARDED', false) AS discarded
FROM (
  SELECT *, sum(octet_length(payload)) OVER (ORDER BY aggregate_id, aggregate_version) - octet_length(payload) AS octets_before
  FROM (
    SELECT event_id, aggregate_id, aggregate_version, event_type, event_version, payload::text AS payload, metadata::text AS metadata,
           correlation_id, causation_id, (extract(epoch FROM created_at) * 1000)::float8 AS occurred_at,
           created_at >= coalesce($6::timestamptz, '-infinity') AND created_at < coalesce($7::timestamptz, 'infinity') AS wanted
    FROM domain_events
    WHERE (aggregate_id, aggregate_version) > ($1::uuid, $2::integer) AND aggregate_id = coalesce($5::uuid, aggregate_id)
    ORDER BY aggregate_id, aggregate_version
    LIMIT $3
  ) AS next
) AS page
LEFT JOIN LATERAL (
  SELECT event_id FROM domain_events WHERE aggregate_id = page.aggregate_id AND aggregate_version = page.aggregate_version - 1 OFFSET 0
) AS before ON page.wanted
LEFT JOIN LATERAL (
  SELECT status FROM event_outbox WHERE key = page.aggregate_id AND sequence = page.aggregate_version OFFSET 0
) AS o ON page.wanted
WHERE octets_before < $4
ORDER BY page.aggregate_id, page.aggregate_version
