#!/bin/sh
# Creates the secrets of docker-compose.yml. Each role has its own volume below /secrets, so that a container can
# read only its own secrets. Existing secrets are kept; to replace all of them, delete the volumes.
set -eu
directory=${SECRETS_DIRECTORY:-/secrets}

random() { head -c 48 /dev/urandom | base64 | tr -d '/+=\n'; }

# keep <volume> <user id> <file> <value>
keep() {
  folder="$directory/$1"
  if [ ! -s "$folder/$3" ]; then
    printf '%s' "$4" >"$folder/$3.new"
    mv "$folder/$3.new" "$folder/$3"
  fi
  [ "$(id -u)" != 0 ] || chown -R "$2" "$folder"
  chmod 500 "$folder"
  chmod 400 "$folder/$3"
}

keep postgres 70 superuser_password "$(random)"
for role in owner api invalidator; do
  keep postgres 70 "${role}_password" "$(random)"
  keep "$role" 1000 database_url "postgres://spms_$role:$(cat "$directory/postgres/${role}_password")@postgres:5432/spms"
done
keep api 1000 session_secrets "$(random)"
keep grafana 472 admin_password "$(random)"
