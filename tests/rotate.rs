//! New certificates for a running server of a person's own: what is put in force, what is refused, and that nobody who is
//! connected notices.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;
use support::{Account, Ca, Job, Leaf, Outcome, Postgres, TestServer, pgtls, psql_as, scratch, spawn_tied};

/// A server with a certificate of a CA, and a project directory beside it.
struct Stage {
    server: TestServer,
    ca: Ca,
    kit: PathBuf,
}

impl Stage {
    fn new(postgres: &Postgres) -> Self {
        let ca = Ca::new("the ca");
        let server = TestServer::builder(postgres)
            .tls(&ca.server(&["localhost", "127.0.0.1"]))
            .client_ca(&ca.cert)
            .hba("hostssl all all all trust")
            .start();
        Self {
            server,
            ca,
            kit: scratch("kit"),
        }
    }

    fn renew(&self, args: &[&str]) -> Outcome {
        pgtls(["renew", &self.server.socket(), "--json", "--config-dir"])
            .arg(&self.server.data)
            .arg("--dir")
            .arg(&self.kit)
            .args(args)
            .run()
    }

    /// Refused with these words, and nothing has changed.
    #[track_caller]
    fn refused(&self, args: &[&str], status: i32, words: &[&str]) {
        let before = self.files();
        let outcome = self.renew(args).expect_status(status);
        for word in words {
            assert!(
                outcome.stderr.contains(word),
                "{word:?} is not in: {}",
                outcome.stderr
            );
        }
        for jargon in ["os error", "panicked", "Error {"] {
            assert!(!outcome.stderr.contains(jargon), "{}", outcome.stderr);
        }
        assert!(self.files() == before, "{words:?}: the server's files changed");
    }

    /// The server's own files: path, mode, owner, content; anything that is no plain file is a failure.
    fn files(&self) -> Vec<(PathBuf, u32, u32, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(&self.server.data)
            .unwrap()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                [".crt", ".key", ".crl", ".conf"]
                    .iter()
                    .any(|ending| name.ends_with(ending))
                    || name.starts_with(".pgtls")
            })
            .map(|path| {
                let meta = fs::symlink_metadata(&path).unwrap();
                assert!(meta.is_file(), "{} is no file", path.display());
                let bytes = fs::read(&path).unwrap();
                (path, meta.permissions().mode(), meta.uid(), bytes)
            })
            .collect();
        files.sort();
        files
    }

    /// The serial that openssl sees.
    fn serial(&self) -> String {
        serial_served(self.server.port)
    }

    fn psql(&self, root: &Path) -> Outcome {
        let conninfo = format!(
            "host=localhost port={} user=postgres dbname=postgres sslmode=verify-full sslrootcert={}",
            self.server.port,
            root.display()
        );
        psql_as(&Account::current(), &conninfo, "select 1")
    }
}

fn serial_served(port: u16) -> String {
    let shown = Job::new("openssl")
        .args([
            "s_client",
            "-starttls",
            "postgres",
            "-connect",
            &format!("127.0.0.1:{port}"),
        ])
        .run()
        .stdout;
    let pem = scratch("served").join("pem");
    fs::write(&pem, shown).unwrap();
    serial_of(&pem)
}

fn serial_of(certificate: &Path) -> String {
    Job::new("openssl")
        .args(["x509", "-noout", "-serial", "-in"])
        .arg(certificate)
        .run()
        .expect_ok("openssl x509")
        .stdout
        .trim()
        .to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn give(leaf: &Leaf) -> [&str; 4] {
    ["--cert", text(&leaf.cert), "--key", text(&leaf.key)]
}

const MAJORS: [u16; 4] = [13, 15, 17, 18];

/// A session over TLS that stays open.
struct Held {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Held {
    fn new(stage: &Stage) -> Self {
        let mut command = Command::new("psql");
        command
            .args(["-X", "-A", "-t", "-d"])
            .arg(format!(
                "host=localhost port={} user=postgres dbname=postgres sslmode=require",
                stage.server.port
            ))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = spawn_tied(command);
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self {
            child,
            stdin,
            stdout: BufReader::new(stdout),
        }
    }

    fn ask(&mut self, sql: &str) -> String {
        writeln!(self.stdin, "{sql};").unwrap();
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the session has ended");
        line
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_pair_is_put_in_force_and_taken_back_while_a_session_is_held() {
    for postgres in MAJORS.into_iter().filter_map(Postgres::find) {
        let stage = Stage::new(&postgres);
        let before = stage.files();
        let old = stage.serial();
        let mut held = Held::new(&stage);
        let pid = held.ask("select pg_backend_pid()");

        let new = stage.ca.server(&["localhost", "127.0.0.1"]);
        let outcome = stage
            .renew(&[&give(&new)[..], &["--root", text(&stage.ca.cert)]].concat())
            .expect_status(0);
        let told: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(told["served"], true, "{told}");
        assert_eq!(stage.serial(), serial_of(&new.cert));
        assert_ne!(stage.serial(), old);
        stage.psql(&stage.ca.cert).expect_ok("psql");
        assert_eq!(held.ask("select pg_backend_pid()"), pid, "the session goes on");
        let files = stage.files();
        assert_eq!(files.len(), before.len());
        for (old, new) in before.iter().zip(&files) {
            assert_eq!(
                (&old.0, old.1, old.2),
                (&new.0, new.1, new.2),
                "mode and owner stay"
            );
        }
        pgtls(["undo", "--dir", text(&stage.kit)]).run().expect_status(0);
        assert!(stage.files() == before, "undo gives back the bytes");
        assert_eq!(stage.serial(), old);
        assert_eq!(held.ask("select pg_backend_pid()"), pid, "the session goes on");
    }
}

/// The words and the remedy of each fault are its own, and nothing is written.
#[test]
fn what_clients_or_the_server_would_refuse_is_refused_before_anything_is_written() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let stage = Stage::new(&postgres);
    let names = ["localhost", "127.0.0.1"];
    let root = text(&stage.ca.cert);
    let good = stage.ca.server(&names);
    let other = stage.ca.server(&names);
    let refused = |leaf: &Leaf, words: &[&str]| {
        stage.refused(&[&give(leaf)[..], &["--root", root]].concat(), 2, words);
    };
    let pair = |cert: &Path, key: &Path| Leaf {
        cert: cert.to_owned(),
        key: key.to_owned(),
    };
    refused(&pair(&good.cert, &other.key), &["does not fit it", "--key FILE"]);
    refused(
        &stage.ca.server(&["localhost"]),
        &["lacks names", "127.0.0.1", "--host"],
    );
    refused(&stage.ca.server_between(&names, -30, -2), &["renewed"]);
    refused(&stage.ca.server_between(&names, 2, 30), &["clock"]);
    refused(&Ca::new("another").server(&names), &["another", "other CA"]);
    refused(&Leaf::self_signed(&names), &["self-signed"]);
    refused(&stage.ca.client("postgres"), &["serverAuth"]);
    refused(&stage.ca.intermediate("between").server(&names), &["fullchain"]);

    fs::set_permissions(&good.key, fs::Permissions::from_mode(0o644)).unwrap();
    refused(&good, &["others may read it", "0644", "csr"]);
    fs::set_permissions(&good.key, fs::Permissions::from_mode(0o600)).unwrap();
    let junk = scratch("junk").join("junk");
    fs::write(&junk, "hello").unwrap();
    refused(&pair(&junk, &good.key), &["other text", "p7b"]);
    refused(&pair(&good.cert, &junk), &["other text", "private key"]);
    refused(
        &pair(&junk.with_file_name("absent"), &good.key),
        &["no such file"],
    );
    stage.refused(
        &["--cert", text(&good.cert), "--root", root],
        2,
        &["the present key", "does not fit it"],
    );

    let weak = stage.ca.weak_server(&names);
    refused(&weak, &["1024", "csr"]);

    let elsewhere = Stage::new(&postgres);
    let outcome = pgtls(["renew", &stage.server.socket(), "--config-dir"])
        .arg(&elsewhere.server.data)
        .args(["--dir", text(&stage.kit)])
        .args(give(&good))
        .run();
    // The files are those that the server names, whatever directory was given.
    assert_eq!(outcome.status, Some(0), "{}", outcome.stderr);
    assert_eq!(stage.serial(), serial_of(&good.cert));
    assert_ne!(elsewhere.serial(), serial_of(&good.cert));
}

fn openssl(arguments: &[&str]) {
    Job::new("openssl").args(arguments).run().expect_ok("openssl");
}

/// Intermediates in any order, the root among them, PKCS#7 and DER: the server gets leaf first, then up, without the root.
#[test]
fn a_delivery_is_put_in_order_whatever_its_form() {
    let Some(postgres) = Postgres::find(17) else {
        return;
    };
    let stage = Stage::new(&postgres);
    let dir = scratch("delivery");
    let at = |name: &str| dir.join(name);
    let between = stage.ca.intermediate("between");
    let leaf = between.server(&["localhost", "127.0.0.1"]);
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    fs::write(
        at("mixed.pem"),
        [read(&stage.ca.cert), read(&between.cert), read(&leaf.cert)].concat(),
    )
    .unwrap();
    openssl(&[
        "crl2pkcs7",
        "-nocrl",
        "-certfile",
        text(&at("mixed.pem")),
        "-out",
        text(&at("chain.p7b")),
    ]);
    openssl(&[
        "crl2pkcs7",
        "-nocrl",
        "-certfile",
        text(&at("mixed.pem")),
        "-outform",
        "DER",
        "-out",
        text(&at("chain.p7c")),
    ]);
    let expected = [read(&leaf.cert), read(&between.cert)].concat();
    for file in ["mixed.pem", "chain.p7b", "chain.p7c"] {
        stage
            .renew(&[
                "--cert",
                text(&at(file)),
                "--key",
                text(&leaf.key),
                "--root",
                text(&stage.ca.cert),
            ])
            .expect_status(0);
        assert_eq!(read(&stage.server.data.join("server.crt")), expected, "{file}");
        stage.psql(&stage.ca.cert).expect_ok(file);
        pgtls(["undo", "--dir", text(&stage.kit)]).run().expect_status(0);
    }
    let plain = stage.ca.server(&["localhost", "127.0.0.1"]);
    openssl(&[
        "x509",
        "-in",
        text(&plain.cert),
        "-outform",
        "DER",
        "-out",
        text(&at("leaf.der")),
    ]);
    openssl(&[
        "pkey",
        "-in",
        text(&plain.key),
        "-outform",
        "DER",
        "-out",
        text(&at("key.der")),
    ]);
    fs::set_permissions(at("key.der"), fs::Permissions::from_mode(0o600)).unwrap();
    stage
        .renew(&[
            "--cert",
            text(&at("leaf.der")),
            "--key",
            text(&at("key.der")),
            "--root",
            text(&stage.ca.cert),
        ])
        .expect_status(0);
    assert_eq!(stage.serial(), serial_of(&plain.cert));
}

/// The request asks for what PostgreSQL's clients need; its key stays, and what the CA answers is put in force.
#[test]
fn a_request_goes_to_the_ca_and_its_answer_comes_back() {
    let Some(postgres) = Postgres::find(18) else {
        return;
    };
    let stage = Stage::new(&postgres);
    let csr = |args: &[&str]| {
        pgtls(["csr", "--json"])
            .args(["--dir", text(&stage.kit)])
            .args(args)
            .run()
    };
    csr(&[]).expect_status(2);
    let made = csr(&["--host", "localhost", "--host", "127.0.0.1"]).expect_status(0);
    let made: Value = serde_json::from_str(&made.stdout).unwrap();
    let request = PathBuf::from(made["request"].as_str().unwrap());
    let key = PathBuf::from(made["key"].as_str().unwrap());
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let shown = Job::new("openssl")
        .args(["req", "-noout", "-text", "-verify", "-in", text(&request)])
        .run()
        .expect_ok("openssl req")
        .stdout;
    for part in [
        "TLS Web Server Authentication",
        "DNS:localhost, IP Address:127.0.0.1",
        "Digital Signature",
        "CN = localhost",
    ] {
        assert!(shown.replace("CN=", "CN = ").contains(part), "{part}: {shown}");
    }
    let again = csr(&["--host", "localhost", "--host", "127.0.0.1"]).expect_status(0);
    assert_eq!(
        serde_json::from_str::<Value>(&again.stdout).unwrap()["kept_key"],
        true
    );
    let answer = stage.ca.sign(&request);
    stage
        .renew(&["--cert", text(&answer), "--root", text(&stage.ca.cert)])
        .expect_status(0);
    assert_eq!(stage.serial(), serial_of(&answer));
    stage.psql(&stage.ca.cert).expect_ok("psql");

    let made = csr(&["--client", "postgres"]).expect_status(0);
    let made: Value = serde_json::from_str(&made.stdout).unwrap();
    let client = stage.ca.sign(Path::new(made["request"].as_str().unwrap()));
    stage.server.set_hba("hostssl all all all cert");
    let conninfo = format!(
        "host=localhost port={} user=postgres dbname=postgres sslmode=verify-full sslrootcert={} sslcert={} sslkey={}",
        stage.server.port,
        text(&stage.ca.cert),
        text(&client),
        made["key"].as_str().unwrap()
    );
    support::wait_for(
        "the certificate is asked for",
        std::time::Duration::from_secs(60),
        || {
            psql_as(&Account::current(), &conninfo, "select 1")
                .ok
                .then_some(())
        },
    );
}
