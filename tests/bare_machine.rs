//! The main job on a machine without PostgreSQL and without Docker: the programs come as a private copy.
//!
//! A mount namespace hides what this machine has; the witness is psycopg, which brings its own libpq.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use support::{Account, Job, Project, pgtls_bin, skip};

/// In a namespace of its own: hides the server programs, gives pgtls an empty state directory, then does the whole job.
const JOB: &str = r#"
set -eu
for hidden in /usr/lib/postgresql /usr/local/pgsql /opt; do
    [ ! -d "$hidden" ] || mount -t tmpfs none "$hidden"
done
mkdir -p /var/lib/pgtls
mount -t tmpfs -o mode=0755 none /var/lib/pgtls
run() { setpriv --reuid="$ID" --regid="$GROUP" --clear-groups "$@"; }
trap 'run "$PGTLS" down --volumes --yes --dir "$DIR" >/dev/null 2>&1' EXIT
if command -v initdb || command -v postgres; then exit 9; fi
run "$PGTLS" up --mode "$MODE" --run sandbox --port "$PORT" --dir "$DIR" --yes
run "$PGTLS" connect conninfo --dir "$DIR" >"$DIR/answer"
run "$PYTHON" -c '
import psycopg, sys
conninfo = open(sys.argv[1]).read().strip()
print("ssl:", psycopg.connect(conninfo).execute("select ssl from pg_stat_ssl where pid = pg_backend_pid()").fetchone()[0])
try:
    psycopg.connect(conninfo, sslmode="disable")
    print("plaintext: admitted")
except psycopg.OperationalError as error:
    print("plaintext:", "refused" if "pg_hba.conf" in str(error) else error)
' "$DIR/answer"
"#;

fn without_postgresql(mode: &str, account: &Account) {
    if !Account::is_root() {
        return skip("hiding PostgreSQL's programs takes root", false);
    }
    let python = std::env::var("PGTLS_TEST_PYTHON").unwrap_or_default();
    if python.is_empty() {
        return skip("psycopg is not here", true);
    }
    let project = Project::new(account);
    let outcome = Job::new("unshare")
        .args(["--mount", "sh", "-c", JOB])
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", account.home())
        .env("ID", account.uid.to_string())
        .env("GROUP", account.gid.to_string())
        .env("PGTLS", pgtls_bin())
        .env("PYTHON", python)
        .env("MODE", mode)
        .env("PORT", project.port.to_string())
        .env("DIR", &project.dir)
        .limit(std::time::Duration::from_secs(300))
        .run()
        .expect_ok("up on a bare machine");
    assert!(outcome.stdout.contains("Verified"), "{}", outcome.stdout);
    assert!(
        outcome.stdout.contains("ssl: True") && outcome.stdout.contains("plaintext: refused"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn mtls_as_root() {
    without_postgresql("mtls", &Account::current());
}

#[test]
fn one_way_as_an_ordinary_user() {
    without_postgresql("one-way", &Account::ordinary());
}
