//! `verify --modes` against psql: for every cell psql itself is sent to the same kind of impostor, with certificates that
//! openssl made, and must do the same.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use pgtls::dial::{Address, Deadline, Disguise, Heard, Impostor, Overheard, Plot};
use pgtls::pki::Identity;
use serde_json::Value;
use support::scene::{Cast, HBA_MTLS, HBA_ONE_WAY, NAMES};
use support::{Ca, Leaf, Outcome, Postgres, TestServer, pgtls, psql, scratch};

const COLUMNS: [&str; 5] = ["as-it-is", "self-signed", "other-ca", "wrong-name", "plaintext"];
const QUERY: &str = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";

/// An impostor on a thread of its own, until it is asked what it heard.
struct Staged {
    address: SocketAddr,
    end: mpsc::Sender<()>,
    heard: mpsc::Receiver<Vec<Heard>>,
}

impl Staged {
    fn new(disguise: Disguise, server: u16, asks_for_password: bool) -> Self {
        let (tell_address, address) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let (tell_heard, heard) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let server = Address::known("localhost", ([127, 0, 0, 1], server).into());
                let plot = Plot {
                    asks_for_password,
                    ..Plot::new(disguise, Duration::from_secs(20))
                };
                let impostor = Impostor::listen(plot, &server).await.unwrap();
                tell_address.send(impostor.address()).unwrap();
                tokio::task::spawn_blocking(move || ended.recv())
                    .await
                    .unwrap()
                    .unwrap();
                let heard = impostor.finish(Deadline::after(Duration::from_secs(20))).await;
                tell_heard.send(heard).unwrap();
            });
        });
        Self {
            address: address.recv().unwrap(),
            end,
            heard,
        }
    }

    fn heard(self) -> Vec<Heard> {
        self.end.send(()).unwrap();
        self.heard.recv().unwrap()
    }
}

fn identity(leaf: &Leaf) -> Disguise {
    let read = |path: &Path| std::fs::read(path).unwrap();
    let identity = Identity::load(&read(&leaf.cert), &read(&leaf.key), None).unwrap();
    Disguise::certificate(&identity).unwrap()
}

/// A server, its client, and the impostors that go with them.
struct Stage {
    server: TestServer,
    conninfo: String,
    password: bool,
    impostors: [Disguise; 4],
    /// More arguments of pgtls.
    more: Vec<String>,
}

impl Stage {
    fn new(cast: &Cast, server: TestServer, more: &str, password: bool) -> Self {
        let wrong_name = cast.ca.server(&["somebody-else.invalid"]);
        let impostors = [
            identity(&Leaf::self_signed(&NAMES)),
            identity(&Ca::new("another ca").server(&NAMES)),
            identity(&wrong_name),
            Disguise::Plaintext,
        ];
        let mut conninfo = format!("{} hostaddr=127.0.0.1 {more}", cast.conninfo(server.port));
        if password {
            let passfile = scratch("passfile").join("passfile");
            std::fs::write(&passfile, "*:*:*:app:right\n").unwrap();
            std::fs::set_permissions(&passfile, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            conninfo = format!("{conninfo} passfile={}", passfile.display());
        }
        let other = [
            ("--other-cert", &wrong_name.cert),
            ("--other-key", &wrong_name.key),
        ];
        let more = other
            .iter()
            .flat_map(|(flag, path)| [(*flag).to_owned(), path.display().to_string()])
            .collect();
        Self {
            server,
            conninfo,
            password,
            impostors,
            more,
        }
    }

    /// The same where no certificate for another name is at hand, but a superuser's way in is.
    fn without_certificate(mut self) -> Self {
        self.more = vec!["--admin".to_owned(), self.server.socket()];
        self
    }

    fn ours(&self) -> Outcome {
        pgtls(["verify", &self.conninfo, "--modes", "--json", "--timeout", "10"])
            .args(&self.more)
            .run()
    }

    /// What psql does in that cell, in the words of the matrix.
    fn psql(&self, sslmode: &str, root_file: bool, column: usize) -> &'static str {
        let bare = if root_file {
            ""
        } else {
            "sslrootcert=/nonexistent/root.crt"
        };
        let conninfo = |port: u16| format!("{} sslmode={sslmode} {bare} port={port}", self.conninfo);
        let Some(disguise) = column
            .checked_sub(1)
            .map(|impostor| self.impostors[impostor].clone())
        else {
            let outcome = psql(&conninfo(self.server.port), QUERY);
            return match (outcome.ok, outcome.stdout.trim()) {
                (true, "t") => "connects",
                (true, "f") => "unprotected",
                (false, _) => "refuses",
                _ => panic!("{outcome:?}"),
            };
        };
        let staged = Staged::new(disguise, self.server.port, self.password);
        let outcome = psql(&conninfo(staged.address.port()), "select 'secret'");
        let heard = staged.heard();
        let queries = heard
            .iter()
            .filter(|heard| matches!(&heard.what, Overheard::Query(query) if query == "select 'secret'"))
            .count();
        assert_eq!(queries, usize::from(outcome.ok), "{outcome:?} {heard:?}");
        let given_away = heard
            .iter()
            .any(|heard| matches!(heard.what, Overheard::Password(_)));
        assert!(!given_away || outcome.ok, "{outcome:?} {heard:?}");
        if outcome.ok { "unprotected" } else { "refuses" }
    }

    /// Every cell of both tables; gives the matrix.
    #[track_caller]
    fn agrees(&self, status: i32) -> Value {
        let outcome = self.ours();
        let matrix = outcome.json();
        let mut differences = Vec::new();
        let mut compared = 0;
        for row in rows(&matrix, "rows")
            .iter()
            .chain(rows(&matrix, "without_root_file"))
        {
            let mode = row["sslmode"].as_str().unwrap();
            let root_file = row["root_file"].as_bool().unwrap();
            for (column, name) in COLUMNS.iter().enumerate() {
                let cell = &row["cells"][column];
                assert_eq!(cell["meets"], *name);
                let theirs = self.psql(mode, root_file, column);
                compared += 1;
                if cell["outcome"] != theirs {
                    differences.push(format!(
                        "{mode}, root file {root_file}, {name}: psql {theirs}; ours {cell:#}"
                    ));
                }
            }
        }
        assert!(differences.is_empty(), "{}", differences.join("\n"));
        assert_eq!(compared, 45, "{matrix:#}");
        outcome.expect_status(status);
        matrix
    }
}

fn rows<'a>(matrix: &'a Value, table: &str) -> &'a Vec<Value> {
    matrix[table].as_array().unwrap()
}

fn cell<'a>(matrix: &'a Value, table: &str, mode: &str, meets: &str) -> &'a Value {
    let row = rows(matrix, table)
        .iter()
        .find(|row| row["sslmode"] == mode)
        .unwrap();
    let column = COLUMNS.iter().position(|name| *name == meets).unwrap();
    &row["cells"][column]
}

fn evidence(cell: &Value) -> String {
    cell["evidence"].to_string()
}

#[test]
fn a_server_with_passwords_over_tls_only() {
    let Some(cast) = Cast::new() else { return };
    let server = cast.server().hba(HBA_ONE_WAY).start();
    let stage = Stage::new(&cast, server, "", true);
    let begun = Instant::now();
    let matrix = stage.agrees(0);
    assert!(begun.elapsed() < Duration::from_secs(120));
    assert_eq!(matrix["holds"], true);
    // The password was really read, and is nowhere told.
    let read = cell(&matrix, "without_root_file", "require", "other-ca");
    assert!(evidence(read).contains("the right one"), "{read:#}");
    assert!(evidence(read).contains("relayed"), "{read:#}");
    assert!(!matrix.to_string().contains("right\""), "{matrix:#}");
    // What the impostors of verify-full saw is an alert, and nothing else.
    let refused = evidence(cell(&matrix, "rows", "verify-full", "other-ca"));
    assert!(
        refused.contains("unknown_ca") && !refused.contains("startup"),
        "{refused}"
    );
    let refused = evidence(cell(&matrix, "rows", "verify-full", "wrong-name"));
    assert!(
        refused.contains("alert") && !refused.contains("startup"),
        "{refused}"
    );
    // On the wire to the server itself nothing could be read.
    let direct = evidence(cell(&matrix, "rows", "verify-full", "as-it-is"));
    assert!(
        direct.contains("TLS records") && !direct.contains("app"),
        "{direct}"
    );
}

#[test]
fn a_server_with_client_certificates() {
    let Some(cast) = Cast::new() else { return };
    let server = cast.server().hba(HBA_MTLS).start();
    let (cert, key) = (cast.client.cert.display(), cast.client.key.display());
    let more = format!("sslcert={cert} sslkey={key}");
    let stage = Stage::new(&cast, server, &more, false);
    let matrix = stage.agrees(0);
    // No client certificate can be relayed: the impostor answers itself.
    let made_up = evidence(cell(&matrix, "without_root_file", "require", "self-signed"));
    assert!(
        made_up.contains("in the server's place") && made_up.contains("made up"),
        "{made_up}"
    );
}

#[test]
fn a_server_that_admits_plaintext() {
    let Some(cast) = Cast::new() else { return };
    let server = cast.server().hba("host all app all scram-sha-256").start();
    let stage = Stage::new(&cast, server, "", true);
    let matrix = stage.agrees(0);
    let direct = cell(&matrix, "rows", "disable", "as-it-is");
    assert!(evidence(direct).contains("SELECT"), "{direct:#}");
}

#[test]
fn a_server_without_tls() {
    let Some(cast) = Cast::new() else { return };
    let server = TestServer::builder(&cast.postgres)
        .sql("create role app login")
        .hba("host all all all trust")
        .start();
    let stage = Stage::new(&cast, server, "", false);
    let matrix = stage.agrees(1);
    assert_eq!(matrix["holds"], false);
}

#[test]
fn the_newest_server_and_the_oldest() {
    for major in [13, 18] {
        let Some(postgres) = Postgres::find(major) else {
            continue;
        };
        let cast = Cast::of(postgres);
        let server = cast.server().hba(HBA_ONE_WAY).start();
        Stage::new(&cast, server, "", true).agrees(0);
    }
}

/// Where no certificate for another name is at hand, the server's own is dialled by another name: psql does the same as
/// in front of an impostor that has one.
#[test]
fn the_servers_own_certificate_under_another_name() {
    let Some(cast) = Cast::new() else { return };
    let server = cast.server().hba(HBA_ONE_WAY).start();
    let stage = Stage::new(&cast, server, "", true).without_certificate();
    let matrix = stage.agrees(0);
    let refused = cell(&matrix, "rows", "verify-full", "wrong-name");
    assert!(
        refused["observed"]
            .as_str()
            .unwrap()
            .contains("somebody-else.invalid"),
        "{refused:#}"
    );
    let taken = cell(&matrix, "rows", "verify-ca", "wrong-name");
    assert!(
        evidence(taken).contains("server's own TLS") && evidence(taken).contains("TLS records"),
        "{taken:#}"
    );
    // The server's log tells of each connection that came to it.
    let logged = stage.server.log();
    for (mode, meets, says) in [
        ("verify-full", "as-it-is", "connection authorized"),
        ("disable", "as-it-is", "no pg_hba.conf entry"),
        ("verify-ca", "wrong-name", "connection authorized"),
        ("disable", "self-signed", "connection authorized"),
    ] {
        let cell = cell(&matrix, "rows", mode, meets);
        let line = cell["evidence"].as_array().unwrap().iter().find_map(|line| {
            let line = line.as_str().unwrap();
            line.contains(says).then_some(line)
        });
        let line = line.unwrap_or_else(|| panic!("{says}: {cell:#}"));
        let (_, logged_line) = line.split_once("(its standard error): ").unwrap();
        assert!(logged.contains(logged_line), "{line}\n{logged}");
    }
    let none = cell(&matrix, "rows", "verify-full", "self-signed");
    assert!(!evidence(none).contains("the server's log"), "{none:#}");
}

#[test]
fn without_tls_there_is_no_certificate_to_show() {
    let Some(cast) = Cast::new() else { return };
    let server = TestServer::builder(&cast.postgres)
        .sql("create role app login")
        .hba("host all all all trust")
        .start();
    let stage = Stage::new(&cast, server, "", false).without_certificate();
    let matrix = stage.ours().expect_status(1).json();
    let untried = cell(&matrix, "rows", "require", "wrong-name");
    assert_eq!(untried["outcome"], Value::Null);
    assert!(
        untried["observed"].as_str().unwrap().contains("no certificate"),
        "{untried:#}"
    );
    assert_eq!(
        cell(&matrix, "rows", "prefer", "wrong-name")["outcome"],
        "unprotected"
    );
}

/// A certificate that does not fit is said, and the rest is tried.
#[test]
fn what_cannot_be_tried_is_said() {
    let Some(cast) = Cast::new() else { return };
    let server = cast.server().hba(HBA_ONE_WAY).start();
    let stage = Stage::new(&cast, server, "", true);
    let run = || pgtls(["verify", &stage.conninfo, "--modes", "--json"]);
    // A client's certificate is none for a server: psql would refuse it for that, not for its name.
    let (cert, key) = (
        cast.other.cert.display().to_string(),
        cast.other.key.display().to_string(),
    );
    let matrix = run()
        .args(["--other-cert", &cert, "--other-key", &key])
        .run()
        .expect_status(0)
        .json();
    let untried = cell(&matrix, "rows", "verify-full", "wrong-name");
    assert_eq!(untried["outcome"], Value::Null);
    assert!(
        untried["observed"].as_str().unwrap().contains(&cert),
        "{untried:#}"
    );
}

#[test]
fn a_server_that_does_not_let_us_in_keeps_no_promise() {
    let Some(cast) = Cast::new() else { return };
    let server = cast
        .server()
        .hba(HBA_ONE_WAY)
        .sql("alter role app password 'changed'")
        .start();
    let stage = Stage::new(&cast, server, "", true);
    let matrix = stage.ours().expect_status(1).json();
    let refused = cell(&matrix, "rows", "verify-full", "as-it-is");
    assert_eq!(refused["outcome"], "refuses");
    assert!(
        refused["observed"].as_str().unwrap().contains("28P01"),
        "{refused:#}"
    );
    // The password is given away all the same.
    assert_eq!(
        cell(&matrix, "without_root_file", "require", "self-signed")["outcome"],
        "unprotected"
    );
}

#[test]
fn a_full_server_is_not_found_out() {
    let Some(cast) = Cast::new() else { return };
    let server = cast
        .server()
        .hba(HBA_ONE_WAY)
        .sql("alter role app nosuperuser connection limit 0")
        .start();
    let stage = Stage::new(&cast, server, "", true);
    let matrix = stage.ours().expect_status(4).json();
    assert_eq!(matrix["holds"], Value::Null);
    assert_eq!(
        cell(&matrix, "rows", "verify-full", "as-it-is")["outcome"],
        Value::Null
    );
}

/// No impostor is put in front of anything but a server on loopback.
#[test]
fn only_on_loopback() {
    for conninfo in [
        "host=192.0.2.1 user=app dbname=app",
        "host=/tmp user=app dbname=app",
    ] {
        let outcome = pgtls(["verify", conninfo, "--modes"]).run().expect_status(2);
        assert!(outcome.stderr.contains("loopback"), "{}", outcome.stderr);
    }
}

#[test]
fn the_table_reads_without_colour() {
    let Some(cast) = Cast::new() else { return };
    let server = cast.server().hba(HBA_ONE_WAY).start();
    let stage = Stage::new(&cast, server, "", true);
    let outcome = pgtls(["verify", &stage.conninfo, "--modes"])
        .run()
        .expect_status(0);
    assert!(!outcome.stdout.contains('\u{1b}'));
    let line = |start: &str| {
        let found = outcome.stdout.lines().find(|line| line.trim().starts_with(start));
        found
            .unwrap()
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        line("disable"),
        "disable refuses UNPROTECTED UNPROTECTED UNPROTECTED UNPROTECTED"
    );
    assert_eq!(
        line("verify-full"),
        "verify-full connects refuses refuses refuses refuses"
    );
    let begun = Instant::now();
    stage.ours().expect_status(0);
    // Far more than it takes, for a machine that is busy with other tests; the bound proper is measured in benches/.
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}
