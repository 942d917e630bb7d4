#!/usr/bin/env bash
# Stand-in for docker-entrypoint.sh of the official PostgreSQL image: does what its documentation says
# (https://hub.docker.com/_/postgres), no more.
set -Eeo pipefail

stop() {
    echo "$*" >&2
    exit 1
}

# VARIABLE from the file that VARIABLE_FILE names.
from_file() {
    local file=$1_FILE
    [ -z "${!1:-}" ] || [ -z "${!file:-}" ] || stop "error: both $1 and $file are set (but are exclusive)"
    [ -z "${!file:-}" ] || export "$1=$(<"${!file}")"
    unset "$file"
}

sql() {
    psql --no-psqlrc --no-password -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "${POSTGRES_DB:-postgres}" "$@"
}

# The scripts that a person mounted, against a server that only the socket reaches.
first_start() {
    local script
    initdb -U "$POSTGRES_USER" --pwfile=<(printf '%s\n' "${POSTGRES_PASSWORD:-}") ${POSTGRES_INITDB_ARGS:-}
    printf '\nhost all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"
    export PGPASSWORD=${POSTGRES_PASSWORD:-}
    pg_ctl -w -D "$PGDATA" -o "$(printf '%q ' "${@:2}" -c listen_addresses= -p 5432)" start
    [ "$POSTGRES_DB" = postgres ] || POSTGRES_DB=postgres sql -c "CREATE DATABASE \"$POSTGRES_DB\""
    for script in /docker-entrypoint-initdb.d/*; do
        case $script in
        *.sh)
            echo "$0: running $script"
            if [ -x "$script" ]; then "$script"; else . "$script"; fi
            ;;
        *.sql)
            echo "$0: running $script"
            sql -f "$script"
            ;;
        esac
    done
    pg_ctl -w -m fast -D "$PGDATA" stop
    unset PGPASSWORD
    printf '\nPostgreSQL init process complete; ready for start up.\n\n'
}

[ "${1:0:1}" != - ] || set -- postgres "$@"
[ "$1" = postgres ] || exec "$@"
for name in POSTGRES_PASSWORD POSTGRES_USER POSTGRES_DB POSTGRES_INITDB_ARGS; do from_file "$name"; done
export POSTGRES_USER=${POSTGRES_USER:-postgres}
export POSTGRES_DB=${POSTGRES_DB:-$POSTGRES_USER}
mkdir -p "$PGDATA"
chmod 0700 "$PGDATA" || :
mkdir -p /var/run/postgresql
chmod 3775 /var/run/postgresql || :
if [ "$(id -u)" = 0 ]; then
    find "$PGDATA" /var/run/postgresql ! -user postgres -exec chown postgres {} +
    exec gosu postgres "$0" "$@"
fi
if [ -s "$PGDATA/PG_VERSION" ]; then
    printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
else
    [ -n "${POSTGRES_PASSWORD:-}" ] || [ "${POSTGRES_HOST_AUTH_METHOD:-}" = trust ] ||
        stop 'Error: Database is uninitialized and superuser password is not specified.'
    if [ "$PGDATA" = "/var/lib/postgresql/$PG_MAJOR/docker" ] &&
        { [ -s /var/lib/postgresql/data/PG_VERSION ] || grep -q ' /var/lib/postgresql/data ' /proc/self/mountinfo; }; then
        stop 'Error: in 18+, these Docker images are configured to store database data in a format which is compatible with "pg_ctlcluster"'
    fi
    first_start "$@"
fi
exec "$@"
