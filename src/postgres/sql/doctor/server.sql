-- What the server says of itself and of this session. Rights of an ordinary user are enough.
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
       (SELECT count(*)::integer FROM pg_stat_replication) AS standbys,
       current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer AS "mostConnections",
       used.*,
       (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS "userLimit",
       (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS "databaseLimit",
       to_regclass('genesis_migrations') IS NOT NULL AS migrated
FROM (
  SELECT count(*)::integer AS "usedConnections",
         count(*) FILTER (WHERE usename = current_user)::integer AS "usedByUser",
         count(*) FILTER (WHERE datname = current_database())::integer AS "usedInDatabase"
  FROM pg_stat_activity WHERE backend_type = 'client backend'
) AS used
