-- The outbox rows after $1, at most $2, that belong to no event: none, or not the one at that place; `last` is the last row that was looked at.
WITH page AS MATERIALIZED (SELECT id, event_id, key, sequence FROM event_outbox WHERE id > $1 ORDER BY id LIMIT $2)
SELECT (SELECT max(id) FROM page)::float8 AS last,
       (SELECT json_agg(json_build_object('id', id, 'eventId', event_id, 'sessionId', key) ORDER BY id)
        FROM page
        WHERE NOT EXISTS (
          SELECT FROM domain_events AS e
          WHERE e.aggregate_id = page.key AND e.aggregate_version = page.sequence AND e.event_id = page.event_id
        )) AS rows
