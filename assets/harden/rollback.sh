#!/bin/sh
# Takes the stage "{{stage}}" back: the files as they were, and a reload. Run it as whoever ran apply.sh.
set -eu
cd "$(dirname "$0")"
data={{data}}

put() {
    rm -f "$2.pgtls-new"
    if [ "$3" = - ]; then
        # What somebody else put there stays.
        if [ -f "$2" ] && cmp -s "files/$1" "$2"; then rm -f "$2"; fi
    elif [ -e "$2.pgtls-before" ]; then
        mv "$2.pgtls-before" "$2"
    fi
}
{{files}}
if [ -r "$data/postmaster.pid" ]; then
    kill -HUP "$(head -n 1 "$data/postmaster.pid")"
fi
echo "The files are as they were, and the server has been told to read them."
