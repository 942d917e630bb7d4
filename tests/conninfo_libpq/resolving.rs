//! `resolve` against what libpq makes of the same string, variables and files.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use pgtls::conninfo::{Conninfo, Environment, Keyword, Resolved, resolve};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::witness::Witness;

/// A string, variables, and files below the home directory; `~` stands for that directory.
struct Case<'a> {
    text: &'a str,
    variables: &'a [(&'a str, &'a str)],
    files: &'a [(&'a str, u32, &'a str)],
}

impl Case<'_> {
    /// Lays the files out in a fresh home and lets both resolve; a description of the difference, if any.
    fn difference(&self, witness: &mut Witness) -> Option<String> {
        let home = tempfile::tempdir().unwrap();
        let at_home = |text: &str| text.replace('~', home.path().to_str().unwrap());
        for (name, mode, content) in self.files {
            let path = home.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
        }
        let mut variables: BTreeMap<String, String> = self
            .variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), at_home(value)))
            .collect();
        let env = environment(home.path(), &variables);
        variables.insert("HOME".to_owned(), at_home("~"));
        let text = at_home(self.text);

        let theirs = witness.ask(&json!({ "connect": text, "env": variables }));
        let ours = Conninfo::parse(&text).and_then(|conninfo| resolve(conninfo, &env));
        let why = match (&ours, theirs.get("ok")) {
            (Ok(ours), Some(options)) => unlike(ours, options, &theirs),
            (Err(_), None) => None,
            (Ok(_), None) => Some("libpq refuses, we do not".to_owned()),
            (Err(error), Some(_)) => Some(format!("libpq accepts, we say: {error}")),
        };
        why.map(|why| {
            format!(
                "{text:?} with {variables:?} and {:?}\n  {why}\n  theirs {theirs}",
                self.files
            )
        })
    }
}

fn environment(home: &Path, variables: &BTreeMap<String, String>) -> Environment {
    Environment {
        variables: variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        home: Some(home.to_owned()),
        sysconfdir: None,
        // What the witness's libpq was built with.
        socket_dir: PathBuf::from("/var/run/postgresql"),
        ..Environment::current()
    }
}

/// The first thing that is not the same. libpq reports the server it tried last.
fn unlike(ours: &Resolved, options: &Value, theirs: &Value) -> Option<String> {
    let last = ours.hosts.last().unwrap();
    let password = ours
        .password_for(last)
        .map_or("", |password| password.expose_secret());
    let port = last.port.to_string();
    let setting =
        |keyword: Keyword, word: &'static str| (keyword.name(), word, options[keyword.name()].clone());
    let mut pairs = vec![
        ("PQuser", ours.user.as_str(), theirs["user"].clone()),
        ("PQdb", &ours.dbname, theirs["dbname"].clone()),
        ("PQpass", password, theirs["password"].clone()),
        setting(Keyword::Sslmode, ours.sslmode.word()),
        setting(Keyword::Sslnegotiation, ours.sslnegotiation.word()),
        setting(Keyword::Sslcertmode, ours.sslcertmode.word()),
        setting(Keyword::ChannelBinding, ours.channel_binding.word()),
        setting(Keyword::TargetSessionAttrs, ours.target_session_attrs.word()),
        setting(Keyword::LoadBalanceHosts, ours.load_balance_hosts.word()),
    ];
    if last.fault.is_none() {
        let their_port: i32 = theirs["port"]
            .as_str()
            .unwrap_or_default()
            .trim()
            .parse()
            .unwrap_or_default();
        pairs.push(("PQhost", last.label(), theirs["host"].clone()));
        pairs.push(("PQport", &port, json!(their_port.to_string())));
    }
    for keyword in Keyword::ALL {
        // What somebody said, libpq must have too; it adds its own defaults to the rest. An empty name of a user
        // or password file it replaces.
        if let Some(ours) = ours.setting(*keyword).filter(|value| !value.is_empty()) {
            pairs.push((keyword.name(), ours, options[keyword.name()].clone()));
        }
    }
    pairs
        .into_iter()
        .find(|(_, ours, theirs)| json!(ours) != *theirs)
        .map(|(what, ours, theirs)| format!("{what}: ours {ours:?}, theirs {theirs}"))
}

/// Asks about every case and reports all differences together.
fn compare<'a>(cases: impl IntoIterator<Item = Case<'a>>) {
    let Some(mut witness) = Witness::start() else {
        return;
    };
    let differences: Vec<String> = cases
        .into_iter()
        .filter_map(|case| case.difference(&mut witness))
        .collect();
    assert!(
        differences.is_empty(),
        "{} differences\n{}",
        differences.len(),
        differences.join("\n")
    );
}

/// Somewhere that answers at once, with a refusal.
const NOWHERE: &str = "host=127.0.0.1 port=1 ";

#[test]
fn each_value_is_judged_as_libpq_judges_it() {
    let words = [
        "",
        "x",
        "disable",
        "allow",
        "prefer",
        "require",
        "verify-ca",
        "verify-full",
        "verify_full",
        "Require",
        " require",
        "postgres",
        "direct",
        "any",
        "read-write",
        "read-only",
        "primary",
        "standby",
        "prefer-standby",
        "random",
        "TLSv1",
        "TLSv1.0",
        "TLSv1.1",
        "tlsv1.2",
        "TLSV1.3",
        "SSLv3",
        "3.0",
        "3.1",
        "3.2",
        "latest",
        "0",
        "1",
        "-1",
        "+3",
        " 2 ",
        "2x",
        "0x1",
        "99999999999",
        "system",
        "md5",
        "md5,password",
        "md5, password",
        "md5,md5",
        "!md5",
        "!md5,!password",
        "!md5,!md5",
        "!password,md5",
        "md5,!password",
        "md5,",
        ",md5",
        "!",
        "!!md5",
        "MD5",
        "cert",
        "none",
        "gss,sspi,oauth,password,md5,scram-sha-256,none",
        "AAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    ];
    let keywords = Keyword::ALL.iter().copied().filter(|keyword| {
        // Those that name a place or a file have their own tests; GSSAPI depends on the machine.
        !matches!(
            keyword,
            Keyword::Service | Keyword::Host | Keyword::Hostaddr | Keyword::Port | Keyword::Gssencmode
                // libpq replaces `auto` and the like by what the locale says.
                | Keyword::ClientEncoding
        )
    });
    let texts: Vec<String> = keywords
        .flat_map(|keyword| words.map(|word| format!("{NOWHERE}{keyword}='{word}'")))
        .collect();
    compare(texts.iter().map(|text| Case {
        text,
        variables: &[],
        files: &[],
    }));
}

#[test]
fn combinations_are_judged_as_libpq_judges_them() {
    let mut texts: Vec<String> = Vec::new();
    for sslmode in [
        "disable",
        "allow",
        "prefer",
        "require",
        "verify-ca",
        "verify-full",
    ] {
        for other in [
            "sslrootcert=system",
            "sslrootcert=System",
            "sslnegotiation=direct",
            "sslcertmode=require",
            "channel_binding=require",
            "sslrootcert=system sslnegotiation=direct",
            "requiressl=1",
        ] {
            texts.push(format!("{NOWHERE}sslmode={sslmode} {other}"));
            texts.push(format!("{NOWHERE}{other}"));
        }
    }
    let versions = ["''", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];
    for min in versions {
        for max in versions {
            texts.push(format!(
                "{NOWHERE}ssl_min_protocol_version={min} ssl_max_protocol_version={max}"
            ));
        }
        texts.push(format!("{NOWHERE}ssl_max_protocol_version={min}"));
    }
    for (min, max) in [
        ("3.0", "3.2"),
        ("3.2", "3.0"),
        ("latest", "3.0"),
        ("latest", "3.2"),
        ("3.0", "latest"),
    ] {
        texts.push(format!(
            "{NOWHERE}min_protocol_version={min} max_protocol_version={max}"
        ));
    }
    for text in [
        "keepalives=0 keepalives_idle=x",
        "keepalives=1 keepalives_idle=x",
        "keepalives=2 tcp_user_timeout=x",
        "fallback_application_name=z",
        "application_name='' fallback_application_name=z",
        "user='' dbname=''",
        "user=bob",
        "user=bob dbname=''",
        "dbname='host=x'",
        "dbname='postgresql://foo/bar'",
        "gssencmode=x",
        "gssencmode=''",
        "gssencmode=prefer",
        "gssencmode=disable",
        "gssencmode=Disable",
    ] {
        texts.push(format!("{NOWHERE}{text}"));
    }
    compare(texts.iter().map(|text| Case {
        text,
        variables: &[],
        files: &[],
    }));
}

#[test]
fn hosts_and_ports_pair_as_in_libpq() {
    let texts = [
        "",
        "port=1",
        "host=localhost port=1",
        "host=127.0.0.1 port=0",
        "host=127.0.0.1 port=65536",
        "host=127.0.0.1 port=65535",
        "host=127.0.0.1 port=abc",
        "host=127.0.0.1 port=' 1 '",
        "host=127.0.0.1 port=+1",
        "host=127.0.0.1 port=-1",
        "host=127.0.0.1 port=0x1",
        "host=127.0.0.1 port=1,",
        "host=127.0.0.1 port=01",
        "host=127.0.0.1,127.0.0.2 port=1",
        "host=127.0.0.1,127.0.0.2 port=1,2",
        "host=127.0.0.1,127.0.0.2 port=1,2,3",
        "host=127.0.0.1 port=1,2",
        "port=1,2",
        "host=a,b hostaddr=127.0.0.1 port=1",
        "host=a,b hostaddr=127.0.0.1,127.0.0.2 port=1",
        "hostaddr=127.0.0.1,127.0.0.2 port=1",
        "hostaddr=127.0.0.1 host='' port=1",
        "hostaddr='' host='' port=1",
        "hostaddr=foo port=1",
        "hostaddr=127.1 port=1",
        "hostaddr=0x7f.1 port=1",
        "hostaddr=0177.0.0.1 port=1",
        "hostaddr=127.0.0.1. port=1",
        "hostaddr=2130706433 port=1",
        "hostaddr=[::1] port=1",
        "hostaddr=::1 port=1",
        "hostaddr=127.0.0.256 port=1",
        "hostaddr='127.0.0.1 ' port=1",
        "hostaddr=' 127.0.0.1' port=1",
        "hostaddr=127.0.0.08 port=1",
        "hostaddr=256.1 port=1",
        "hostaddr=1.2.3.4.5 port=1",
        "hostaddr=/tmp port=1",
        "host=,127.0.0.1 port=1",
        "host=127.0.0.1, port=1",
        "host=@pgtls-nobody port=1",
        "host=/tmp port=1",
        "host=/tmp hostaddr=127.0.0.1 port=1",
        "host=127.0.0.1,127.0.0.2 port=70000,1",
        "host=127.0.0.1,127.0.0.2 port=1,70000",
        "host=127.0.0.1,127.0.0.2 port=abc,1",
        "hostaddr=foo,127.0.0.1 port=1",
        "hostaddr=127.0.0.1,foo port=1",
        "postgresql://127.0.0.1:1,127.0.0.2",
        "postgresql://127.0.0.1:1,127.0.0.2?port=1",
        "postgresql://127.0.0.1,127.0.0.2:1/x",
        "postgresql://[::1]:1",
        "postgresql://%2Ftmp:1/x",
        "postgresql://:1",
        "postgresql://u:p/x@127.0.0.1",
        "host=/tmp port=1 keepalives=x",
        "host=/tmp port=1 gssencmode=require",
    ];
    compare(texts.iter().map(|text| Case {
        text,
        variables: &[],
        files: &[],
    }));
}

#[test]
fn variables_fill_what_is_not_said() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("", &[("PGSSLMODE", "")]),
        ("", &[("PGSSLMODE", "bad")]),
        ("sslmode=disable", &[("PGSSLMODE", "bad")]),
        ("sslmode=''", &[("PGSSLMODE", "require")]),
        ("", &[("PGUSER", "bob")]),
        ("", &[("PGUSER", "")]),
        ("user=''", &[("PGUSER", "bob")]),
        ("", &[("PGDATABASE", "db"), ("PGUSER", "bob")]),
        ("user=bob dbname=''", &[("PGDATABASE", "db")]),
        ("", &[("PGREQUIRESSL", "1")]),
        ("", &[("PGREQUIRESSL", "0")]),
        ("", &[("PGREQUIRESSL", "")]),
        ("", &[("PGREQUIRESSL", "1"), ("PGSSLMODE", "disable")]),
        ("sslmode=disable", &[("PGREQUIRESSL", "1")]),
        ("", &[("PGREQUIRESSL", "1"), ("PGSSLROOTCERT", "system")]),
        ("", &[("PGSSLROOTCERT", "system")]),
        ("", &[("PGSSLROOTCERT", "system"), ("PGSSLMODE", "require")]),
        ("sslrootcert=x", &[("PGSSLROOTCERT", "system")]),
        ("", &[("PGPASSWORD", "x")]),
        ("", &[("PGPASSWORD", "")]),
        ("password=y", &[("PGPASSWORD", "x")]),
        ("", &[("PGCONNECT_TIMEOUT", "x")]),
        ("", &[("PGCONNECT_TIMEOUT", "5")]),
        ("", &[("PGTARGETSESSIONATTRS", "bad")]),
        ("", &[("PGSSLNEGOTIATION", "direct")]),
        ("", &[("PGSSLNEGOTIATION", "direct"), ("PGSSLMODE", "verify-ca")]),
        (
            "",
            &[
                ("PGSSLPASSWORD", "x"),
                ("PGKEEPALIVES", "x"),
                ("PGREPLICATION", "x"),
                ("PGSSLKEYLOGFILE", "x"),
            ],
        ),
        (
            "",
            &[
                ("PGOPTIONS", "-c x=y"),
                ("PGAPPNAME", "q"),
                ("PGREQUIREAUTH", "md5"),
                ("PGSSLCERT", "c"),
            ],
        ),
        ("", &[("PGHOSTADDR", "127.0.0.2")]),
        ("", &[("PGHOSTADDR", "127.0.0.2,127.0.0.3")]),
        ("", &[("PGSERVICE", "")]),
        ("", &[("PGSERVICE", "none")]),
    ];
    let texts: Vec<_> = cases
        .iter()
        .map(|(text, variables)| (format!("{NOWHERE}{text}"), *variables))
        .collect();
    compare(texts.iter().map(|(text, variables)| Case {
        text,
        variables,
        files: &[],
    }));
    compare(
        [
            ("host=127.0.0.1", &[("PGPORT", "1")][..]),
            ("host=127.0.0.1 port=''", &[("PGPORT", "1")]),
            ("port=1", &[("PGHOST", "127.0.0.1")]),
            ("port=1 host=''", &[("PGHOST", "127.0.0.1")]),
            ("port=1", &[("PGHOST", ""), ("PGHOSTADDR", "")]),
            ("", &[("PGHOST", "127.0.0.1,127.0.0.2"), ("PGPORT", "1,2")]),
            ("postgresql://127.0.0.1,127.0.0.2:1", &[("PGPORT", "7")]),
        ]
        .map(|(text, variables)| Case {
            text,
            variables,
            files: &[],
        }),
    );
}

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
    for content in contents.into_iter().chain(longs.iter().map(String::as_str)) {
        let files = &[(".pg_service.conf", 0o644, content)];
        compare(
            [
                ("service=a", &[][..]),
                ("service=a port=2 sslmode=require", &[("PGUSER", "eve")]),
                ("", &[("PGSERVICE", "a")]),
            ]
            .map(|(text, variables)| Case {
                text,
                variables,
                files,
            }),
        );
    }
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
    for mode in [0o600, 0o400, 0o700, 0o640, 0o604, 0o660, 0o644, 0o601, 0o610] {
        compare([Case {
            text: NOWHERE,
            variables: &[],
            files: &[(".pgpass", mode, "*:*:*:*:pw")],
        }]);
    }
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
