-- $1: event ids. Those that are in domain_events.
SELECT event_id FROM unnest($1::uuid[]) AS asked (event_id)
WHERE EXISTS (SELECT FROM domain_events WHERE domain_events.event_id = asked.event_id OFFSET 0)
