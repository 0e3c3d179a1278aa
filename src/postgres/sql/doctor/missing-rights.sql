-- What services and tools need and the user has not.
SELECT relation, relation LIKE '%\_seq' AS sequence, array_agg(needed ORDER BY needed) AS rights
FROM (VALUES
  ('command_inbox', ARRAY['SELECT', 'INSERT', 'UPDATE']),
  ('domain_events', ARRAY['SELECT', 'INSERT']),
  ('event_outbox', ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']),
  ('event_outbox_holds', ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']),
  ('genesis_migrations', ARRAY['SELECT']),
  ('genesis_sessions', ARRAY['SELECT', 'INSERT', 'UPDATE']),
  ('genesis_settings', ARRAY['SELECT', 'UPDATE']),
  ('operator_actions', ARRAY['SELECT', 'INSERT']),
  ('relay_members', ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']),
  ('relay_shards', ARRAY['SELECT', 'UPDATE']),
  ('event_outbox_id_seq', ARRAY['SELECT'])
) AS wanted (relation, rights)
CROSS JOIN LATERAL unnest(rights) AS needed
WHERE to_regclass(relation) IS NOT NULL
  AND NOT CASE WHEN relation LIKE '%\_seq' THEN has_sequence_privilege(to_regclass(relation), needed)
               ELSE has_table_privilege(to_regclass(relation), needed) END
GROUP BY relation
ORDER BY relation
