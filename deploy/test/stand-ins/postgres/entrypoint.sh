#!/usr/bin/env bash
# What of the official image's entrypoint this project relies on: POSTGRES_USER, POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE, POSTGRES_DB,
# PGDATA, and the arguments of `postgres` as the container's command.
set -euo pipefail

if [ "$(id -u)" = 0 ]; then
  install --directory --owner=postgres --group=postgres --mode=700 "$PGDATA"
  exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  user=${POSTGRES_USER:-postgres}
  database=${POSTGRES_DB:-$user}
  if [ -n "${POSTGRES_PASSWORD_FILE-}" ]; then POSTGRES_PASSWORD=$(<"$POSTGRES_PASSWORD_FILE"); fi
  if [ -z "${POSTGRES_PASSWORD-}" ]; then
    echo 'POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE must be set' >&2
    exit 1
  fi
  initdb --username="$user" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") --auth-local=trust --auth-host=scram-sha-256
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
  if [ "$database" != postgres ]; then
    pg_ctl --wait --options="-c listen_addresses=''" start
    psql --username="$user" --dbname=postgres --set=name="$database" <<<'CREATE DATABASE :"name"'
    pg_ctl --wait --mode=fast stop
  fi
fi

exec "$@"
