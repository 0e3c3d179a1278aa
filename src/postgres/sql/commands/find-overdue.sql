-- The unanswered requests after the place ($1, $2) in the order in which they are due, $3 at most. The partial index holds
-- nothing but unanswered requests, so an idle look reads one page of it. `remaining` <= 0: overdue.
SELECT id, session_id, deadline::text AS due,
       ceil(extract(epoch FROM deadline - clock_timestamp()) * 1000)::float8 AS remaining
FROM command_inbox
WHERE status = 'PROCESSING' AND deadline IS NOT NULL AND (deadline, id) > ($1::timestamptz, $2::uuid)
ORDER BY command_inbox.deadline, id
LIMIT $3
