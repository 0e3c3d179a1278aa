-- What the server says of itself and of this session. Rights of an ordinary user are enough: of others' sessions it sees the database,
-- the user and application_name, but not what kind they are. Those that have a database and a user count as clients (a worker of a
-- parallel query, too).
SELECT current_setting('server_version_num')::integer AS version,
       current_setting('server_version') AS "versionText",
       current_user AS "user",
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
       current_setting('server_encoding') AS encoding,
       pg_is_in_recovery() AS standby,
       pg_backend_pid() AS pid,
       current_setting('synchronous_commit') AS "synchronousCommit",
       current_setting('fsync') = 'on' AS fsync,
       current_setting('full_page_writes') = 'on' AS "fullPageWrites",
       current_setting('autovacuum') = 'on' AS autovacuum,
       current_setting('synchronous_standby_names') AS "synchronousStandbys",
       standbys.*,
       current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
         - CASE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = 'pg_use_reserved_connections' AND pg_has_role(oid, 'USAGE')) THEN 0
                ELSE coalesce(current_setting('reserved_connections', true)::integer, 0) END AS "mostConnections",
       used.*,
       (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS "userLimit",
       (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS "databaseLimit",
       to_regclass('genesis_migrations') IS NOT NULL AS migrated
FROM (
  SELECT count(*)::integer AS "usedConnections",
         count(*) FILTER (WHERE usename = current_user)::integer AS "usedByUser",
         count(*) FILTER (WHERE datname = current_database())::integer AS "usedInDatabase"
  FROM pg_stat_activity
  WHERE backend_type = 'client backend' OR (backend_type IS NULL AND datid IS NOT NULL AND usesysid IS NOT NULL)
) AS used
CROSS JOIN (
  -- Logical replication has a database, and goes to no standby; nor do copies and archives, which are known by the names of their tools.
  SELECT count(*)::integer AS standbys
  FROM pg_stat_replication JOIN pg_stat_activity USING (pid)
  WHERE pg_stat_activity.datid IS NULL
    AND (pg_stat_replication.sync_state IN ('sync', 'quorum')
         OR (pg_stat_replication.state IS DISTINCT FROM 'backup'
             AND pg_stat_replication.application_name NOT IN ('pg_basebackup', 'pg_receivewal', 'barman_receive_wal')))
) AS standbys
