#!/bin/sh
# What the container runs first. PostgreSQL insists on the owner and mode of its
# files, and mounted files keep those of the host: so they are copied to memory.
#
#   sh /etc/pgtls/entry.sh postgres ...   copy them, then start the image
#   sh /etc/pgtls/entry.sh reload         copy them again, and have the server read them
set -eu
from=/etc/pgtls
to=/run/pgtls

fail() {
    echo "pgtls: $*" >&2
    exit 1
}

# In a subshell: the umask is not for the image's own entry point.
load() (
    umask 077
    for file in postgresql.conf pg_hba.conf pg_ident.conf server.crt server.key root.crt roles.sql; do
        if [ ! -e "$from/$file" ]; then
            [ "$file" = root.crt ] || fail "$from/$file is missing: is server/ complete?"
            rm -f "$to/$file"
            continue
        fi
        cp "$from/$file" "$to/.new" || fail "$from/$file cannot be read by uid $(id -u) in the container"
        [ "$(id -u)" != 0 ] || chown postgres:postgres "$to/.new"
        mv -f "$to/.new" "$to/$file"
    done
    # postgresql.conf includes the image's own settings from there.
    ln -sfn "$PGDATA" "$to/data"
)

load
if [ "${1:-}" = reload ]; then
    read -r pid 2>/dev/null <"$PGDATA/postmaster.pid" || fail "the server is not running"
    kill -HUP "$pid"
    exit 0
fi
exec docker-entrypoint.sh "$@"
