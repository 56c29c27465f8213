#!/bin/sh
# The part of the official image's entry point that tests use: POSTGRES_USER, _PASSWORD, _PASSWORD_FILE and _DB, scripts in
# /docker-entrypoint-initdb.d, and not running as root.
set -eu
as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
: "${POSTGRES_USER:=postgres}"
: "${POSTGRES_DB:=$POSTGRES_USER}"
if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE"); fi
export POSTGRES_USER POSTGRES_DB

mkdir -p "$PGDATA" /var/run/postgresql
chown postgres:postgres "$PGDATA" /var/run/postgresql
chmod 700 "$PGDATA"

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  printf '%s' "$POSTGRES_PASSWORD" >/tmp/password
  chown postgres:postgres /tmp/password
  as_postgres initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --encoding=UTF8 --locale=C.UTF-8 \
    --auth-local=trust --auth-host=scram-sha-256 >/dev/null
  rm /tmp/password
  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
  echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
  # Listens only on its socket, so that the port opens when the database is ready.
  as_postgres pg_ctl start --wait --silent -o "-c listen_addresses=''"
  if [ "$POSTGRES_DB" != postgres ]; then as_postgres createdb --username="$POSTGRES_USER" "$POSTGRES_DB"; fi
  for script in /docker-entrypoint-initdb.d/*.sh; do
    if [ -e "$script" ]; then as_postgres sh "$script"; fi
  done
  as_postgres pg_ctl stop --wait --silent --mode=fast
fi
exec setpriv --reuid=postgres --regid=postgres --init-groups "$@"
