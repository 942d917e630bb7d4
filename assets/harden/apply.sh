#!/bin/sh
# Puts the stage "{{stage}}" in force: {{means}}.
# Run it on the server's machine, as root or as the server's account. With a number of seconds it goes back by itself
# after that time unless a file called "keep" is here by then: sh apply.sh 300
set -eu
cd "$(dirname "$0")"
data={{data}}
seconds=${1:-}

stop() {
    echo "apply.sh: $1; nothing was changed" >&2
    exit 1
}

digest() {
    if command -v sha256sum >/dev/null 2>&1; then sha256sum <"$1" | cut -d ' ' -f 1; else shasum -a 256 <"$1" | cut -d ' ' -f 1; fi
}

each() {
    put() { "$step" "$@"; }
{{files}}
}

check() {
    if [ "$3" = - ]; then
        [ ! -e "$2" ] || stop "$2 is there already"
    else
        [ -f "$2" ] || stop "$2 is not there"
        [ "$(digest "$2")" = "$3" ] || stop "$2 has changed since the bundle was made: make it anew"
        [ ! -e "$2.pgtls-before" ] || stop "$2.pgtls-before is there: finish or take back the stage before this one first"
    fi
}

prepare() {
    if [ "$3" = - ]; then
        (umask 077 && cat "files/$1" >"$2.pgtls-new")
        chmod "$4" "$2.pgtls-new"
        if [ "$(id -u)" = 0 ]; then
            # The owner of the data directory is the account that reads it.
            # shellcheck disable=SC2012
            chown "$(ls -nd "$data" | awk '{ print $3 ":" $4 }')" "$2.pgtls-new"
        fi
    else
        cp -p "$2" "$2.pgtls-before"
        cp -p "$2" "$2.pgtls-new"
        cat "files/$1" >"$2.pgtls-new"
    fi
}

place() {
    mv "$2.pgtls-new" "$2"
}

[ -r "$data/postmaster.pid" ] || stop "$data/postmaster.pid cannot be read: is this the server's machine, and does it run?"
rm -f keep
step=check
each
# From here on whatever fails takes everything back.
trap 'sh ./rollback.sh; exit 1' EXIT INT TERM HUP
step=prepare
each
step=place
each
kill -HUP "$(head -n 1 "$data/postmaster.pid")"
trap - EXIT INT TERM HUP
echo "The server has been told to read its files. Keep a session open, and try a new login now."
if [ -n "$seconds" ]; then
    # The words are for that shell to read.
    # shellcheck disable=SC2016
    nohup sh -c 'sleep "$1"; [ -e keep ] || sh ./rollback.sh' sh "$seconds" >/dev/null 2>&1 &
    echo "It goes back in $seconds seconds unless you say: touch $(pwd)/keep"
fi
