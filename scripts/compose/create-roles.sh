#!/bin/sh
# Creates the roles of docs/dba.md; none of them is a superuser. Postgres runs this script once, when it initialises
# its data. In this set-up the owner of the event log also owns the tables.
set -eu

password() { cat "/run/secrets/spms/$1_password"; }

psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" \
  -v owner="$(password owner)" -v api="$(password api)" -v invalidator="$(password invalidator)" <<'SQL'
create role spms_owner login password :'owner';
create role spms_api login password :'api';
create role spms_invalidator login password :'invalidator';
grant connect, create on database :"DBNAME" to spms_owner;
grant connect on database :"DBNAME" to spms_api, spms_invalidator;
alter schema public owner to spms_owner;
SQL
