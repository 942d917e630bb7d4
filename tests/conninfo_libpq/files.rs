//! Service and password files: found, read and refused as libpq does it.

use super::case::{Case, NOWHERE, compare};

#[test]
fn services_are_found_and_read_as_in_libpq() {
    let long = |length: usize| format!("[a]\nport=1\nuser={}\nhost=127.0.0.1", "x".repeat(length));
    let longs = [
        long(1016),
        long(1017),
        long(1018),
        format!("[b]\nx={}\n[a]\nport=1\nhost=127.0.0.1", "y".repeat(1200)),
    ];
    let contents = [
        "[a]\nhost=127.0.0.1\nport=1\n",
        "[a]\nhost =127.0.0.1\n",
        "[a]\nhost= 127.0.0.1\nport=1",
        "  [a]  \n  host=127.0.0.1  \n\tport=1\t\n",
        "# c\n;x=y\n[a]\nport=1\n",
        "[a]\n;x\nport=1\n",
        "[a]\nport=1 # c\nhost=127.0.0.1",
        "[a]\nfoo=1\n",
        "[b]\nfoo=1\n[a]\nport=1",
        "[b]\nfoo\n[a]\nport=1",
        "[a]\nfoo\n",
        "[a]\nservice=b\n",
        "[a]\nport=1\n[a]\nport=2\n",
        "[b]\nport=1\n[a]\nhost=127.0.0.1\nport=2\n[a]\nuser=x",
        "[a]\nport=1\nport=2\nhost=127.0.0.1",
        "[a]\nport=\nhost=127.0.0.1",
        "[a]\nhost='x'\nport=1",
        "[a]\nrequiressl=1\nport=1",
        "[a]\r\nport=1\r\nhost=127.0.0.1\r\n",
        "port=3\n[a]\nport=1",
        "[a\nport=1",
        "[a]x\nport=1",
        "[ab]\nport=1\n",
        "[ a]\nport=1",
        "[a ]\nport=1",
        "[a]\nldap://x/y\n",
        "[a]\nport=1\npassword=a=b",
        "[a]\n[b]\nport=1",
        "[a]\nport=1\n\n[b]\nport=2",
        "[a]\nservicefile=x",
        "[a]\n=x",
        "[a]\nPORT=1",
        "[a]\nport=1\nsslmode=bad",
        "[a]\nport=1\nsslrootcert=system",
        "",
        "\n\n",
        "[]\nport=1",
    ];
    let files: Vec<_> = contents
        .into_iter()
        .chain(longs.iter().map(String::as_str))
        .map(|content| [(".pg_service.conf", 0o644, content)])
        .collect();
    compare(files.iter().flat_map(|files| {
        [
            ("service=a", &[][..]),
            ("service=a port=2 sslmode=require", &[("PGUSER", "eve")]),
            ("", &[("PGSERVICE", "a")]),
        ]
        .map(|(text, variables)| Case {
            text,
            variables,
            files,
        })
    }));
}

#[test]
fn service_files_are_looked_for_where_libpq_looks() {
    let user = (
        ".pg_service.conf",
        0o644,
        "[a]\nport=1\nuser=home\n[b b]\nport=2\n[c]]\nport=3",
    );
    let system = ("sys/pg_service.conf", 0o644, "[a]\nport=4\n[s]\nport=5\nuser=sys");
    let other = ("x.conf", 0o644, "[x]\nport=6");
    let files = &[user, system, other];
    let cases = [
        ("service=a", &[][..]),
        ("service=s", &[]),
        ("service='b b'", &[]),
        ("service=c]", &[]),
        ("service=''", &[("PGSERVICE", "a")]),
        ("service=s", &[("PGSYSCONFDIR", "~/sys")]),
        ("service=a", &[("PGSYSCONFDIR", "~/sys")]),
        ("service=z", &[("PGSYSCONFDIR", "~/sys")]),
        ("service=x", &[("PGSERVICEFILE", "~/x.conf")]),
        ("service=a", &[("PGSERVICEFILE", "~/x.conf")]),
        (
            "service=s",
            &[("PGSERVICEFILE", "~/x.conf"), ("PGSYSCONFDIR", "~/sys")],
        ),
        ("service=a", &[("PGSERVICEFILE", "~/none.conf")]),
        (
            "service=s",
            &[("PGSERVICEFILE", "~/none.conf"), ("PGSYSCONFDIR", "~/sys")],
        ),
        ("service=a", &[("PGSERVICEFILE", "")]),
        (
            "service=s",
            &[("PGSERVICEFILE", "~/sys"), ("PGSYSCONFDIR", "~/sys")],
        ),
        ("service=a", &[("PGSYSCONFDIR", "")]),
        ("postgresql://?service=a", &[]),
        (
            "service=s",
            &[("PGSERVICE", "a"), ("PGSYSCONFDIR", "~/sys"), ("PGUSER", "eve")],
        ),
        ("port=1", &[("PGSERVICEFILE", "~/none.conf")]),
    ];
    compare(cases.map(|(text, variables)| Case {
        text,
        variables,
        files,
    }));
}

#[test]
fn passwords_are_found_as_libpq_finds_them() {
    let lines = [
        "*:*:*:*:pw\n",
        "*:*:*:*:pw",
        "127.0.0.1:1:*:*:pw",
        "127.0.0.1:2:*:*:no\n*:1:*:*:pw",
        "*:*:*:*:p:w\n",
        "*:*:*:*:p\\:w\\\\x\\y\n",
        "*:*:*:*: pw \n",
        "*:*:*:*:pw\r\n",
        "*:*:*:*:pw\r\r\n",
        "#*:*:*:*:x\n*:*:*:*:pw",
        " #*:*:*:*:x\n*:*:*:*:pw",
        " *:*:*:*:pw",
        "*:*:*:pw",
        "*:*:*:*:\n*:*:*:*:q",
        "*:*:*:*",
        "127.0.0.1:1:db:bob:a\n",
        "127.0.0.1:1:d*:bob:a\n",
        "127.0.0.\\1:1:*:*:a\n",
        "127.0.0.1:1:*:bob:a\n",
        "127.0.0.1:1:replication:bob:a\n",
        "\n\n*:*:*:*:pw",
        "\\*:*:*:*:pw",
        "*\\::*:*:*:pw",
        "*:*:*:*:pw\\",
        "*:*:*:*:a\tb\u{1}",
        "**:*:*:*:pw",
        "*:*:*:*:é",
        "::1:1:*:*:v6",
        "\\:\\:1:1:*:*:v6",
        "localhost:1:*:*:loc",
        "/tmp:1:*:*:dir",
        "localhost:01:*:*:zero\n*:1:*:*:one",
        "foo:1:*:*:name\n127.0.0.1:1:*:*:addr",
        "127.0.0.2:*:*:*:second\n*:*:*:*:first",
        "localhost:5432:*:*:x",
    ];
    let texts = [
        "host=127.0.0.1 port=1 user=bob dbname=db",
        "host=::1 port=1",
        "host=/tmp port=1",
        "port=1",
        "host=/var/run/postgresql port=1",
        "host=/var/run/postgresql/ port=1",
        "host=localhost port=01",
        "host=foo hostaddr=127.0.0.1 port=1",
        "hostaddr=127.0.0.1 port=1",
        "host=127.0.0.1,127.0.0.2 port=1",
        "host=/tmp hostaddr=127.0.0.1 port=1",
        "host=127.0.0.1 port=1 user=bob dbname=''",
        "host=127.0.0.1 port=1 user=bob dbname=db replication=true",
    ];
    let long = format!("*:*:*:*:{}", "z".repeat(3000));
    let mut cases = Vec::new();
    let files: Vec<_> = lines
        .into_iter()
        .chain([long.as_str()])
        .map(|content| [(".pgpass", 0o600, content)])
        .collect();
    for files in &files {
        cases.extend(texts.map(|text| Case {
            text,
            variables: &[],
            files,
        }));
    }
    compare(cases);
}

#[test]
fn password_files_are_chosen_and_refused_as_in_libpq() {
    let modes = [0o600, 0o400, 0o700, 0o640, 0o604, 0o660, 0o644, 0o601, 0o610]
        .map(|mode| [(".pgpass", mode, "*:*:*:*:pw")]);
    compare(modes.iter().map(|files| Case {
        text: NOWHERE,
        variables: &[],
        files,
    }));
    let files = &[
        (".pgpass", 0o600, "*:*:*:*:home"),
        ("pp", 0o600, "*:*:*:*:named"),
        ("d/x", 0o600, ""),
    ];
    let cases = [
        ("password=x", &[][..]),
        ("password=''", &[]),
        ("", &[("PGPASSWORD", "e")]),
        ("", &[("PGPASSWORD", "")]),
        ("passfile=~/pp", &[]),
        ("passfile=~/none", &[]),
        ("passfile=''", &[]),
        ("", &[("PGPASSFILE", "~/pp")]),
        ("", &[("PGPASSFILE", "")]),
        ("passfile=~/pp", &[("PGPASSFILE", "~/none")]),
        ("passfile=~/d", &[]),
    ];
    let texts: Vec<_> = cases
        .iter()
        .map(|(text, variables)| (format!("{NOWHERE}{text}"), *variables))
        .collect();
    compare(texts.iter().map(|(text, variables)| Case {
        text,
        variables,
        files,
    }));
}
