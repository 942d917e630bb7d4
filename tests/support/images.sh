#!/usr/bin/env bash
# Stand-ins for the official PostgreSQL images, for a machine that reaches no image registry: postgres:15, :17, :17-alpine
# and :18, from this machine's own programs and the servers that provide.sh brings. Only those that are missing are made.
#
# images.sh CACHE   with the engine's address in DOCKER_HOST; CACHE/postgresql/MAJOR holds the servers
set -euo pipefail
cache=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tools=(bash cat chmod chown cp date env find grep head id ln ls mkdir mktemp mv rm sed setpriv sleep stat tail touch tr)

# into ROOT PROGRAM…: each with the libraries it needs, at the places they have here.
into() {
    local root=$1 program real
    shift
    for program in "$@"; do
        real=$(command -v "$program")
        { echo "$real"; ldd "$real" | grep -o '/[^ )]*'; } | sort -u | while read -r file; do
            mkdir -p "$root${file%/*}"
            cp -Lu "$file" "$root$file"
        done
    done
}

# account ROOT UID: postgres, by which the official images differ.
account() {
    printf 'root:x:0:0:root:/root:/bin/sh\npostgres:x:%s:%s::/var/lib/postgresql:/bin/sh\n' "$2" "$2" >"$1/etc/passwd"
    printf 'root:x:0:\npostgres:x:%s:\n' "$2" >"$1/etc/group"
}

# base ROOT: a system with a shell and nothing of PostgreSQL's but psql.
base() {
    local root=$1
    mkdir -p "$root"/{etc,run,var/lib,tmp,root,proc,sys,dev,docker-entrypoint-initdb.d,usr/local/bin,usr/bin,usr/lib,usr/lib64,usr/sbin,usr/share}
    local link
    for link in bin lib lib64 sbin; do ln -s "usr/$link" "$root/$link"; done
    ln -s ../run "$root/var/run"
    chmod 1777 "$root/tmp"
    into "$root" "${tools[@]}"
    ln -s bash "$root/usr/bin/sh"
    # Debian's psql is a wrapper that looks for clusters.
    into "$root" "$(printf '%s\n' /usr/lib/postgresql/*/bin/psql | sort -V | tail -n 1)"
    ln -s "$(printf '%s\n' /usr/lib/postgresql/*/bin/psql | sort -V | tail -n 1)" "$root/usr/local/bin/psql"
    mkdir -p "$root/usr/lib/locale"
    cp -a /usr/lib/locale/C.utf8 "$root/usr/lib/locale/"
    [ ! -d /usr/share/zoneinfo ] || cp -a /usr/share/zoneinfo "$root/usr/share/"
    printf '#!/bin/sh\nuser=$1; shift\nexec /usr/bin/setpriv --reuid="$user" --regid="$user" --init-groups "$@"\n' >"$root/usr/local/bin/gosu"
    cp "$here/images/entrypoint.sh" "$root/usr/local/bin/docker-entrypoint.sh"
    chmod 0755 "$root"/usr/local/bin/*
}

# server ROOT MAJOR: initdb, pg_ctl and postgres, with the official image's defaults for where it listens.
server() {
    local root=$1 major=$2 home=$cache/postgresql/$2 sample
    if [ -x "/usr/lib/postgresql/$major/bin/initdb" ]; then
        into "$root" /usr/lib/postgresql/"$major"/bin/{initdb,pg_ctl,postgres}
        mkdir -p "$root/usr/lib/postgresql/$major" "$root/usr/share/postgresql"
        cp -a "/usr/lib/postgresql/$major/lib" "$root/usr/lib/postgresql/$major/"
        cp -aL "/usr/share/postgresql/$major" "$root/usr/share/postgresql/"
        rm -rf "$root/usr/lib/postgresql/$major/lib"/{bitcode,pgxs,llvmjit*}
        sample=$root/usr/share/postgresql/$major/postgresql.conf.sample
        ln -s /usr/lib/postgresql/"$major"/bin/{initdb,pg_ctl,postgres} "$root/usr/local/bin/"
    else
        [ -x "$home/bin/initdb" ] || return 1
        mkdir -p "$root/opt"
        cp -a "$home" "$root/opt/postgresql"
        rm -f "$root"/opt/postgresql/lib/*.a
        into "$root" "$home"/bin/{initdb,pg_ctl,postgres}
        # What ldd found below its own directory came along with the directory.
        rm -rf "${root:?}$cache"
        sample=$(find "$root/opt/postgresql/share" -name postgresql.conf.sample | head -n 1)
        ln -s /opt/postgresql/bin/{initdb,pg_ctl,postgres} "$root/usr/local/bin/"
    fi
    sed -i "s/^#listen_addresses = .*/listen_addresses = '*'/" "$sample"
    # initdb writes the default that it was built with over the one in the sample.
    echo "unix_socket_directories = '/var/run/postgresql'" >"$root/etc/socket.conf"
    echo "include '/etc/socket.conf'" >>"$sample"
}

# image ROOT NAME MAJOR UID
image() {
    local root=$1 major=$3 uid=$4 data=/var/lib/postgresql/data volume=/var/lib/postgresql/data
    if [ "$major" -ge 18 ]; then
        data=/var/lib/postgresql/$major/docker volume=/var/lib/postgresql
    fi
    account "$root" "$uid"
    install -d -o "$uid" -g "$uid" -m 1777 "$root/var/lib/postgresql" "$root$volume"
    install -d -o "$uid" -g "$uid" -m 3777 "$root/run/postgresql"
    tar -C "$root" --numeric-owner -c . | docker import -c 'ENV PATH=/usr/local/bin:/usr/bin:/usr/sbin' -c 'ENV LANG=C.UTF-8' \
        -c "ENV PG_MAJOR=$major" -c "ENV PGDATA=$data" -c "VOLUME $volume" -c 'EXPOSE 5432' \
        -c 'ENTRYPOINT ["docker-entrypoint.sh"]' -c 'CMD ["postgres"]' - "$2" >/dev/null
}

# alpine ROOT: busybox in the place of everything but bash.
alpine() {
    local root=$1 tool
    (cd "$work" && apt-get -qq -o APT::Sandbox::User=root download busybox-static >/dev/null && dpkg-deb -x busybox-static_*.deb busybox)
    cp "$work"/busybox/*bin/busybox "$root/usr/bin/busybox" 2>/dev/null || cp "$work"/busybox/usr/*bin/busybox "$root/usr/bin/busybox"
    for tool in "${tools[@]}" sh; do
        case $tool in
        bash | setpriv) ;;
        *) ln -sf busybox "$root/usr/bin/$tool" ;;
        esac
    done
}

missing() { ! docker image inspect "$1" >/dev/null 2>&1; }

for major in 15 17 18; do
    name=postgres:$major
    if missing "$name" || { [ "$major" = 17 ] && missing postgres:17-alpine; }; then
        root=$work/$major
        base "$root"
        server "$root" "$major" || { echo "no PostgreSQL $major here for an image" >&2; continue; }
        image "$root" "$name" "$major" 999
        if [ "$major" = 17 ]; then
            alpine "$root" && image "$root" postgres:17-alpine 17 70
        fi
        rm -rf "$root"
    fi
done
