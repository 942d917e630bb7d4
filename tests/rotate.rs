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
use support::{
    Account, Ca, Job, Leaf, Outcome, Postgres, Project, TestServer, pgtls, psql_as, scratch, spawn_tied,
};

/// A server with a certificate of a CA, and a project directory beside it.
struct Stage {
    server: TestServer,
    ca: Ca,
    kit: PathBuf,
    account: Account,
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
            account: Account::current(),
        }
    }

    /// From here on pgtls runs as the server's own account.
    fn by_the_server(mut self) -> Self {
        self.account = Account::server();
        self.account.own(&self.kit);
        self
    }

    fn undo(&self) -> Outcome {
        pgtls(["undo", "--dir", text(&self.kit)])
            .account(&self.account)
            .run()
    }

    fn csr(&self, args: &[&str]) -> Outcome {
        pgtls(["csr", "--json"])
            .args(["--dir", text(&self.kit)])
            .args(args)
            .run()
    }

    fn renew(&self, args: &[&str]) -> Outcome {
        pgtls(["renew", &self.server.socket(), "--json", "--config-dir"])
            .arg(&self.server.data)
            .arg("--dir")
            .arg(&self.kit)
            .args(args)
            .account(&self.account)
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
        let mut stage = Stage::new(&postgres);
        if postgres.major == 17 {
            stage = stage.by_the_server();
        }
        let before = stage.files();
        let old = stage.serial();
        let mut held = Held::new(&stage);
        let pid = held.ask("select pg_backend_pid()");

        let new = stage.ca.server(&["localhost", "127.0.0.1"]);
        stage.account.own(&new.key);
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
        stage.undo().expect_status(0);
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
    // Two servers whose files are the same to the byte are told apart by nothing.
    let conf = elsewhere.server.data.join("postgresql.conf");
    let was = fs::read_to_string(&conf).unwrap();
    fs::write(&conf, was + "# another server\n").unwrap();
    let outcome = pgtls(["renew", &stage.server.socket(), "--config-dir"])
        .arg(&elsewhere.server.data)
        .args(["--dir", text(&stage.kit)])
        .args(give(&good))
        .run();
    assert_eq!(outcome.status, Some(3), "{}", outcome.stderr);
    let said = "is not the file that the server reads as";
    assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
    for untouched in [&stage, &elsewhere] {
        assert_ne!(untouched.serial(), serial_of(&good.cert));
    }
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
    stage.csr(&[]).expect_status(2);
    let made = stage
        .csr(&["--host", "localhost", "--host", "127.0.0.1"])
        .expect_status(0);
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
    let sent = fs::read(&request).unwrap();
    let again = stage
        .csr(&["--host", "localhost", "--host", "127.0.0.1"])
        .expect_status(0);
    assert!(
        fs::read(&request).unwrap() == sent,
        "what the CA has is what it is asked"
    );
    assert_eq!(
        serde_json::from_str::<Value>(&again.stdout).unwrap()["kept_key"],
        true
    );
    let answer = stage.ca.sign(&request);
    filed(&stage, &answer);
    stage
        .renew(&["--cert", text(&answer), "--root", text(&stage.ca.cert)])
        .expect_status(0);
    assert_eq!(stage.serial(), serial_of(&answer));
    stage.psql(&stage.ca.cert).expect_ok("psql");
}

/// The answer for a server without TLS is checked, and filed beside the request.
fn filed(stage: &Stage, answer: &Path) {
    let names = ["--host", "localhost", "--host", "127.0.0.1"];
    let file = |answer: &Path, more: &[&str]| {
        let mut words = vec!["--cert", text(answer)];
        words.extend(more);
        stage.csr(&words)
    };
    let root = ["--root", text(&stage.ca.cert)];
    let refused = |outcome: Outcome, says: &str| {
        assert_eq!(outcome.status, Some(2), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(says), "{says}: {}", outcome.stderr);
        assert!(!stage.kit.join("request/server.crt").exists(), "{says}");
    };
    refused(file(answer, &names), "--root FILE");
    refused(file(answer, &root), "--host");
    let stranger = Ca::new("stranger");
    let foreign = ["--root", text(&stranger.cert)];
    refused(file(answer, &[&names[..], &foreign].concat()), "stranger");
    let other = stage.ca.server(&["localhost", "127.0.0.1"]);
    refused(
        file(&other.cert, &[&names[..], &root].concat()),
        "for another key",
    );
    let wider = [&names[..], &["--host", "db.example.org"], &root].concat();
    refused(file(answer, &wider), "db.example.org");
    file(answer, &[&names[..], &root].concat()).expect_status(0);
    Job::new("openssl")
        .args([
            "verify",
            "-x509_strict",
            "-verify_hostname",
            "localhost",
            "-CAfile",
        ])
        .arg(stage.kit.join("request/root.crt"))
        .arg(stage.kit.join("request/server.crt"))
        .run()
        .expect_ok("openssl verify");
}

/// What a CA answers to a client's request is checked as the server will, filed into the kit, and kept by later plans.
#[test]
fn a_clients_answer_is_checked_and_filed() {
    let Some(postgres) = Postgres::find(18) else {
        return;
    };
    let stage = Stage::new(&postgres);
    let made = stage.csr(&["--client", "postgres"]).expect_status(0).json();
    let client = stage.ca.sign(Path::new(made["request"].as_str().unwrap()));
    let kit = stage.kit.join("clients/postgres");
    // What would not do is not filed.
    let file = |cert: &Path, root: &Path| {
        stage.csr(&["--client", "postgres", "--cert", text(cert), "--root", text(root)])
    };
    let other = Ca::new("another ca");
    let elsewhere = scratch("elsewhere");
    let of_another_name = pgtls(["csr", "--json", "--client", "app", "--dir", text(&elsewhere)])
        .run()
        .expect_status(0)
        .json();
    let request = Path::new(of_another_name["request"].as_str().unwrap());
    let for_another_key = stage.ca.sign(request);
    let key = fs::read(stage.kit.join("request/postgres.key")).unwrap();
    for (cert, root, says) in [
        (&client, &other.cert, "ssl_ca_file"),
        (&for_another_key, &stage.ca.cert, "does not fit it"),
        (&stage.ca.cert, &stage.ca.cert, "does not fit it"),
    ] {
        let said = file(cert, root).expect_status(2).stderr;
        assert!(said.contains(says), "{said}");
        assert!(!kit.exists(), "{says}");
    }
    // Of the same key, for another name, and for a server.
    let own_key = stage.kit.join("request/postgres.key");
    for (subject, purpose, says) in [
        ("/CN=app", "clientAuth", "common name"),
        ("/CN=postgres", "serverAuth", "clientAuth"),
    ] {
        let request = elsewhere.join("other.csr");
        openssl(&[
            "req",
            "-new",
            "-key",
            text(&own_key),
            "-subj",
            subject,
            "-addext",
            &format!("extendedKeyUsage={purpose}"),
            "-out",
            text(&request),
        ]);
        let said = file(&stage.ca.sign(&request), &stage.ca.cert)
            .expect_status(2)
            .stderr;
        assert!(said.contains(says), "{said}");
        assert!(!kit.exists(), "{says}");
    }
    stage
        .csr(&["--client", "postgres", "--cert", text(&client)])
        .expect_status(2);
    stage
        .csr(&[
            "--client",
            "nobody",
            "--cert",
            text(&client),
            "--root",
            text(&stage.ca.cert),
        ])
        .expect_status(2);

    let filed = file(&client, &stage.ca.cert).expect_status(0).json();
    assert_eq!(filed["certificate"], text(&kit.join("client.crt")));
    assert_eq!(fs::read(kit.join("client.key")).unwrap(), key);
    assert_eq!(
        fs::metadata(kit.join("client.key")).unwrap().permissions().mode() & 0o777,
        0o600
    );
    stage.server.set_hba("hostssl all all all cert");
    let conninfo = format!(
        "host=localhost port={} user=postgres dbname=postgres sslmode=verify-full sslrootcert={} sslcert={} sslkey={}",
        stage.server.port,
        text(&stage.ca.cert),
        filed["certificate"].as_str().unwrap(),
        filed["key"].as_str().unwrap()
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
    // A later plan keeps it, and makes the others.
    let apply = [
        "apply", "--mode", "mtls", "--run", "none", "--yes", "--json", "--client", "postgres", "--client",
        "app",
    ];
    pgtls(apply)
        .args(["--dir", text(&stage.kit)])
        .run()
        .expect_status(0);
    assert_eq!(serial_of(&kit.join("client.crt")), serial_of(&client));
    assert!(kit.join("root.crt").exists() && stage.kit.join("clients/app/client.crt").exists());
    fs::remove_dir_all(elsewhere).unwrap();
}

/// What other tools leave in a directory: links of certbot, lego's three files, cert-manager's names; of several pairs the one
/// with the names.
#[test]
fn what_other_tools_write_is_taken_up() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let stage = Stage::new(&postgres);
    let names = ["localhost", "127.0.0.1"];
    let root = text(&stage.ca.cert);
    let between = stage.ca.intermediate("between");
    let copy = |from: &Path, to: PathBuf| {
        fs::copy(from, &to).unwrap();
        to
    };
    let take = |args: &[&str], leaf: &Leaf| {
        let outcome = stage.renew(&[args, &["--root", root]].concat()).expect_status(0);
        assert_eq!(stage.serial(), serial_of(&leaf.cert), "{}", outcome.stderr);
        stage.psql(&stage.ca.cert).expect_ok("psql");
    };

    let leaf = between.server(&names);
    let certbot = scratch("certbot");
    for dir in ["archive", "live"] {
        fs::create_dir(certbot.join(dir)).unwrap();
    }
    copy(&leaf.cert, certbot.join("archive/cert1.pem"));
    copy(&between.cert, certbot.join("archive/chain1.pem"));
    copy(&leaf.key, certbot.join("archive/privkey1.pem"));
    let both = [fs::read(&leaf.cert).unwrap(), fs::read(&between.cert).unwrap()].concat();
    fs::write(certbot.join("archive/fullchain1.pem"), both).unwrap();
    for name in ["cert", "chain", "privkey", "fullchain"] {
        std::os::unix::fs::symlink(
            format!("../archive/{name}1.pem"),
            certbot.join(format!("live/{name}.pem")),
        )
        .unwrap();
    }
    fs::write(
        certbot.join("live/README"),
        "This directory contains your keys and certificates.\n",
    )
    .unwrap();
    take(&["--from", text(&certbot.join("live"))], &leaf);

    let lego = scratch("lego");
    let (leaf, other) = (between.server(&names), between.server(&["elsewhere.example.org"]));
    for (name, leaf) in [("db", &leaf), ("elsewhere", &other)] {
        copy(&leaf.cert, lego.join(format!("{name}.crt")));
        copy(&leaf.key, lego.join(format!("{name}.key")));
        copy(&between.cert, lego.join(format!("{name}.issuer.crt")));
        fs::write(lego.join(format!("{name}.json")), "{}").unwrap();
    }
    take(&["--from", text(&lego)], &leaf);
    let outcome = stage
        .renew(&["--from", text(&lego), "--root", root])
        .expect_status(0);
    assert!(outcome.stderr.contains("in force already"), "{}", outcome.stderr);
    let told: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(told["files"].as_array().unwrap().len(), 0, "{told}");

    let manager = scratch("manager");
    let leaf = stage.ca.server(&names);
    copy(&leaf.cert, manager.join("tls.crt"));
    let key = copy(&leaf.key, manager.join("tls.key"));
    copy(&stage.ca.cert, manager.join("ca.crt"));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    stage.refused(
        &["--from", text(&manager)],
        2,
        &["tls.key", "others may read it", "defaultMode"],
    );
    fs::set_permissions(&key, fs::Permissions::from_mode(0o400)).unwrap();
    take(&["--from", text(&manager)], &leaf);
}

/// A program runs without a shell and within its time, and what it prints is taken only if it is a pair; what another tool
/// keeps is not written over.
#[test]
fn a_program_is_run_and_what_others_keep_is_left() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let stage = Stage::new(&postgres);
    let names = ["localhost", "127.0.0.1"];
    let root = text(&stage.ca.cert);
    let leaf = stage.ca.server(&names);
    let printed = scratch("printed").join("pem with blanks");
    fs::write(
        &printed,
        [fs::read(&leaf.cert).unwrap(), fs::read(&leaf.key).unwrap()].concat(),
    )
    .unwrap();
    let command = format!("cat '{}'", text(&printed));
    stage
        .renew(&["--exec", &command, "--root", root])
        .expect_status(0);
    assert_eq!(stage.serial(), serial_of(&leaf.cert));
    stage.refused(
        &["--exec", "echo $(id)"],
        2,
        &["expected PEM", "have it print PEM"],
    );
    stage.refused(&["--exec", "false"], 3, &["false failed"]);
    stage.refused(&["--exec", "/nowhere/tool"], 3, &["/nowhere/tool"]);
    stage.refused(
        &["--exec", "sleep 600", "--exec-timeout", "0.3"],
        3,
        &["sleep", "stopped"],
    );
    stage.refused(&["--exec", "cat 'a"], 2, &["quote"]);
    let empty = scratch("empty");
    stage.refused(&["--from", text(&empty)], 2, &["no certificate is in it"]);
    stage.refused(&["--from", text(&empty.join("absent"))], 2, &["no such file"]);
    stage.refused(&[], 2, &["--cert FILE"]);

    // Files that another tool keeps, or that others use too, are not written over.
    let own = stage.server.data.join("server.crt");
    fs::rename(&own, stage.server.data.join("kept.pem")).unwrap();
    std::os::unix::fs::symlink("kept.pem", &own).unwrap();
    let outcome = stage
        .renew(&[&give(&leaf)[..], &["--root", root]].concat())
        .expect_status(2);
    assert!(
        outcome.stderr.contains("another tool keeps it"),
        "{}",
        outcome.stderr
    );
}

/// A server that does not take its new files ends as it was; so does one whose login would fail.
#[test]
fn a_server_that_does_not_follow_is_given_back_what_it_had() {
    for major in [13, 18] {
        let Some(postgres) = Postgres::find(major) else {
            continue;
        };
        let stage = Stage::new(&postgres);
        let old = stage.serial();
        let new = stage.ca.server(&["localhost", "127.0.0.1"]);
        let roots = stage.server.data.join("root.crt");
        fs::write(&roots, "junk: every reload of TLS fails from now on\n").unwrap();
        let args = [
            &give(&new)[..],
            &["--root", text(&stage.ca.cert), "--timeout", "2"],
        ]
        .concat();
        stage.refused(&args, 1, &["did not take its new files", "as they were before"]);
        assert_eq!(stage.serial(), old);
        pgtls(["undo", "--dir", text(&stage.kit)]).run().expect_status(3);
        fs::copy(&stage.ca.cert, &roots).unwrap();
        stage.renew(&args).expect_status(0);
        assert_eq!(stage.serial(), serial_of(&new.cert));
    }
}

/// A revocation list is checked, put in force with its setting, and revokes; what would refuse everybody is refused itself.
#[test]
fn a_revocation_list_is_checked_before_it_refuses_everybody() {
    let Some(postgres) = Postgres::find(17) else {
        return;
    };
    let stage = Stage::new(&postgres);
    stage.server.set_hba("hostssl all all all cert");
    let (good, bad) = (stage.ca.client("postgres"), stage.ca.client("postgres"));
    let comes_in = |leaf: &Leaf| {
        let conninfo = format!(
            "host=localhost port={} user=postgres dbname=postgres sslmode=verify-full sslrootcert={} sslcert={} sslkey={}",
            stage.server.port,
            text(&stage.ca.cert),
            text(&leaf.cert),
            text(&leaf.key)
        );
        psql_as(&Account::current(), &conninfo, "select 1").ok
    };
    support::wait_for(
        "certificates are asked for",
        std::time::Duration::from_secs(60),
        || (comes_in(&good) && comes_in(&bad)).then_some(()),
    );
    let before = stage.files();
    let crl = |path: &Path, status: i32, words: &[&str]| stage.refused(&["--crl", text(path)], status, words);
    crl(
        &stage.ca.list(&[], -30, -2),
        2,
        &["it has ended", "certificate expired", "present list"],
    );
    crl(&stage.ca.list(&[], 2, 30), 2, &["not valid yet"]);
    crl(
        &Ca::new("another").list(&[], -1, 30),
        2,
        &["another issuer", "another"],
    );
    crl(&Ca::new("the ca").list(&[], -1, 30), 2, &["another issuer"]);
    crl(&stage.ca.cert, 2, &["no revocation list in it"]);

    let list = stage.ca.list(&[&bad], -1, 30);
    let der = scratch("list").join("der");
    openssl(&["crl", "-in", text(&list), "-outform", "DER", "-out", text(&der)]);
    let outcome = stage.renew(&["--crl", text(&der)]).expect_status(0);
    assert!(
        outcome.stdout.contains("refused from then on"),
        "{}",
        outcome.stdout
    );
    assert!(comes_in(&good), "who is not revoked comes in");
    assert!(!comes_in(&bad), "who is revoked does not");
    // The setting is there, so the next one only replaces the file; an older one would forget.
    let newer = stage.ca.list(&[], 0, 40);
    stage.renew(&["--crl", text(&newer)]).expect_status(0);
    assert!(comes_in(&bad), "the newer list does not revoke it");
    crl(&list, 2, &["older than the one in force"]);
    for word in [
        "is the revocation list from before again (CN=the ca",
        "no revocation list is asked",
    ] {
        let said = pgtls(["undo", "--dir", text(&stage.kit)])
            .run()
            .expect_status(0)
            .stdout;
        assert!(said.contains(word), "{said}");
        assert!(!said.contains("its certificate from before"), "{said}");
    }
    assert!(
        stage.files() == before,
        "undo gives back the bytes, and takes the new file away"
    );
    assert!(comes_in(&good) && comes_in(&bad));

    // A list for every CA on the way: with an intermediate among them both are wanted.
    let between = stage.ca.intermediate("between");
    let both = [
        fs::read(&stage.ca.cert).unwrap(),
        fs::read(&between.cert).unwrap(),
    ]
    .concat();
    fs::write(stage.server.data.join("root.crt"), both).unwrap();
    crl(&list, 2, &["no list of", "between", "every client"]);
}

/// A client's files as they were handed out at some stage.
struct Handed(PathBuf);

impl Handed {
    fn of(kit: &Path) -> Self {
        let to = scratch("handed");
        for name in ["client.crt", "client.key", "root.crt"] {
            fs::copy(kit.join(name), to.join(name)).unwrap();
        }
        Account::server().own(&to.join("client.key"));
        fs::set_permissions(to.join("client.key"), fs::Permissions::from_mode(0o600)).unwrap();
        Self(to)
    }

    /// What psql says with them; nothing if it comes in.
    fn refusal(&self, port: u16, user: &str) -> Option<String> {
        let conninfo = format!(
            "host=localhost port={port} user={user} dbname=postgres sslmode=verify-full sslrootcert={0}/root.crt \
             sslcert={0}/client.crt sslkey={0}/client.key",
            self.0.display()
        );
        let outcome = psql_as(&Account::server(), &conninfo, "select 1");
        (!outcome.ok).then_some(outcome.stderr)
    }
}

/// The three stages on a server elsewhere: at each the clients of the stage before come in and so do those of this one; each is
/// refused while the one before is not in force; each can be taken back.
#[test]
#[allow(clippy::too_many_lines, reason = "one story, told in its order")]
fn a_ca_is_followed_by_another_and_nobody_is_locked_out() {
    for major in [13, 18] {
        let Some(postgres) = Postgres::find(major) else {
            continue;
        };
        let kit = scratch("kit");
        let apply = [
            "apply",
            "--mode",
            "mtls",
            "--run",
            "none",
            "--host",
            "localhost",
            "--user",
            "postgres",
            "--client",
            "postgres",
            "--yes",
            "--dir",
        ];
        pgtls(apply).arg(&kit).run().expect_status(0);
        let pair = Leaf {
            cert: kit.join("server/server.crt"),
            key: kit.join("server/server.key"),
        };
        let server = TestServer::builder(&postgres)
            .tls(&pair)
            .client_ca(&kit.join("server/root.crt"))
            .hba("hostssl all all all cert")
            .start();
        let client = kit.join("clients/postgres");
        let stage = |name: &str| {
            pgtls(["renew", &server.socket(), "--config-dir"])
                .arg(&server.data)
                .args(["--ca", "--stage", name, "--yes", "--dir"])
                .arg(&kit)
                .run()
        };
        let comes_in = |handed: &Handed, what: &str| {
            assert_eq!(handed.refusal(server.port, "postgres"), None, "{major}: {what}");
        };
        let undo = || pgtls(["undo", "--dir"]).arg(&kit).run().expect_status(0);
        let files = || {
            let theirs = ["server.crt", "server.key", "root.crt"]
                .map(|name| fs::read(server.data.join(name)).unwrap());
            let mine = [
                "ca/root.crt",
                "server/root.crt",
                "clients/postgres/root.crt",
                "clients/postgres/client.crt",
            ]
            .map(|name| fs::read(kit.join(name)).unwrap());
            (theirs, mine)
        };

        let first = Handed::of(&client);
        comes_in(&first, "before");
        for (name, words) in [
            ("issue", "no new CA is trusted yet"),
            ("withdraw", "no CA to withdraw"),
        ] {
            let outcome = stage(name).expect_status(2);
            assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
        }

        let before = files();
        stage("trust").expect_status(0);
        undo();
        assert!(files() == before, "trust is taken back");
        assert!(!kit.join("ca/next.crt").exists() && !kit.join("ca/next.key").exists());
        stage("trust").expect_status(0);
        let second = Handed::of(&client);
        comes_in(&first, "the first, while both are trusted");
        comes_in(&second, "the second, while both are trusted");
        assert!(
            stage("trust")
                .expect_status(2)
                .stderr
                .contains("in force already")
        );
        assert!(
            stage("withdraw")
                .expect_status(2)
                .stderr
                .contains("still the old CA's")
        );

        let before = files();
        stage("issue").expect_status(0);
        undo();
        assert!(files() == before, "issue is taken back");
        comes_in(&first, "the first, after that");
        stage("issue").expect_status(0);
        let third = Handed::of(&client);
        comes_in(&second, "the second, while the new one issues");
        comes_in(&third, "the third, while the new one issues");
        let refusal = first.refusal(server.port, "postgres").unwrap();
        assert!(refusal.contains("certificate verify failed"), "{refusal}");
        assert!(
            stage("issue")
                .expect_status(2)
                .stderr
                .contains("in force already")
        );

        let before = files();
        stage("withdraw").expect_status(0);
        let fourth = Handed::of(&client);
        comes_in(&third, "the third, after the old one is withdrawn");
        comes_in(&fourth, "the fourth, after the old one is withdrawn");
        assert!(
            second.refusal(server.port, "postgres").is_some(),
            "a client of the old CA"
        );
        undo();
        assert!(files() == before, "withdraw is taken back");
        comes_in(&second, "the second, after that");
        stage("withdraw").expect_status(0);
        assert!(!kit.join("ca/old.crt").exists());
        comes_in(&fourth, "at the end");
    }
}

/// The files alone are not the server: a stage that is only written is not in force.
#[test]
fn a_stage_waits_until_the_server_has_the_one_before() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let project = Project::new(&Account::current());
    project.up("mtls", &postgres).run().expect_status(0);
    let client = project.kit();
    let renew = |name: &str| project.pgtls(&["renew", "--ca", "--stage", name, "--yes"]).run();
    let psql = |handed: &Handed| {
        let conninfo = format!(
            "host=localhost port={} user=app dbname=app sslmode=verify-full sslrootcert={1}/root.crt sslcert={1}/client.crt \
             sslkey={1}/client.key",
            project.port,
            handed.0.display()
        );
        psql_as(&Account::server(), &conninfo, "select 1").ok
    };
    let first = Handed::of(&client);
    renew("trust").expect_status(0);
    let second = Handed::of(&client);
    assert!(psql(&first) && psql(&second));

    // A kit without the new root cannot have been handed out.
    let root = client.join("root.crt");
    let both = fs::read(&root).unwrap();
    fs::copy(first.0.join("root.crt"), &root).unwrap();
    let outcome = renew("issue").expect_status(2);
    assert!(
        outcome.stderr.contains("does not hold the new CA"),
        "{}",
        outcome.stderr
    );
    fs::write(&root, &both).unwrap();

    renew("issue").expect_status(0);
    let third = Handed::of(&client);
    assert!(psql(&second) && psql(&third) && !psql(&first));
    renew("withdraw").expect_status(0);
    assert!(psql(&third) && !psql(&second));
    for handed in [&second, &first] {
        project.pgtls(&["undo"]).run().expect_status(0);
        assert!(psql(handed), "after undo");
    }
    project.pgtls(&["undo"]).run().expect_status(0);
    assert!(psql(&first) && !project.dir.join("ca/next.crt").exists());
    // What is renewed in between stays as far as the stage is.
    renew("trust").expect_status(0);
    project.pgtls(&["renew", "--yes"]).run().expect_status(0);
    assert!(
        project.dir.join("ca/next.crt").exists(),
        "a renewal keeps the new CA"
    );
    let fourth = Handed::of(&client);
    assert!(psql(&first) && psql(&fourth));
    renew("issue").expect_status(0);
    assert!(psql(&fourth));
}

/// The units are what systemd takes, and closed as far as that goes; nothing is installed.
#[test]
fn units_are_verified_by_systemd_and_scripts_by_shellcheck() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let stage = Stage::new(&postgres);
    let to = scratch("units");
    let outcome = stage
        .renew(&["--from", "/etc/letsencrypt/live/50% $db", "--units", text(&to)])
        .expect_status(0);
    let told: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(told["files"].as_array().unwrap().len(), 4, "{told}");
    let read = |name: &str| fs::read_to_string(to.join(name)).unwrap();
    let service = read("pgtls-renew.service");
    for part in [
        "ProtectSystem=strict",
        &format!("ReadWritePaths={}", stage.server.data.display()),
        &format!("ReadWritePaths={}", stage.kit.display()),
        "\"/etc/letsencrypt/live/50%% $$db\"",
        "--yes --quiet",
    ] {
        assert!(service.contains(part), "{part}: {service}");
    }
    assert!(read("pgtls-renew.cron").contains("'/etc/letsencrypt/live/50\\% $db'"));
    let hook = read("pgtls-deploy-hook.sh");
    assert!(
        hook.contains("${RENEWED_LINEAGE:?") && !hook.contains("live/50"),
        "{hook}"
    );

    // The project's own CA: only when it is due.
    let own = scratch("own");
    pgtls([
        "apply",
        "--mode",
        "mtls",
        "--run",
        "none",
        "--host",
        "localhost",
        "--yes",
        "--dir",
    ])
    .arg(&own)
    .run()
    .expect_status(0);
    let units = scratch("units");
    pgtls(["renew", "--units", text(&units), "--dir", text(&own)])
        .run()
        .expect_status(0);
    let service = fs::read_to_string(units.join("pgtls-renew.service")).unwrap();
    assert!(
        service.contains("--expiring 30") && service.contains("step ca renew"),
        "{service}"
    );
    let certificate = own.join("server/server.crt");
    let serial = serial_of(&certificate);
    let due = |days: &str| {
        pgtls(["renew", "--expiring", days, "--yes", "--dir", text(&own)])
            .run()
            .expect_status(0);
    };
    due("30");
    assert_eq!(serial_of(&certificate), serial, "it lasts longer than that");
    due("400");
    assert_ne!(serial_of(&certificate), serial);

    let has = |program: &str| {
        Job::new("sh")
            .args(["-c", &format!("command -v {program}")])
            .run()
            .ok
    };
    if has("systemd-analyze") {
        for dir in [&to, &units] {
            let outcome = Job::new("systemd-analyze")
                .args(["verify", "./pgtls-renew.service", "./pgtls-renew.timer"])
                .dir(dir)
                .run()
                .expect_ok("systemd-analyze verify");
            assert_eq!(outcome.stderr.trim(), "", "systemd-analyze verify says nothing");
            Job::new("systemd-analyze")
                .args([
                    "security",
                    "--offline=true",
                    "--threshold=40",
                    "./pgtls-renew.service",
                ])
                .dir(dir)
                .run()
                .expect_ok("its exposure is below 4");
        }
    } else {
        support::skip("systemd-analyze is not here", false);
    }
    if has("shellcheck") {
        for dir in [&to, &units] {
            Job::new("shellcheck")
                .arg(dir.join("pgtls-deploy-hook.sh"))
                .run()
                .expect_ok("shellcheck");
        }
    } else {
        support::skip("shellcheck is not here", false);
    }
}

/// Calls that change a disk.
const CALLS: [&str; 8] = [
    "mkdirat",
    "symlinkat",
    "linkat",
    "renameat",
    "renameat2",
    "unlinkat",
    "fchmod",
    "write",
];

/// At whichever call it is killed, or the disk is full: the pair that lies there is one pair, and what follows puts it in order.
#[test]
fn interrupted_at_any_write_the_pair_on_disk_is_one() {
    let strace = Job::new("sh").args(["-c", "strace -o /dev/null true"]).run().ok;
    if !strace {
        return support::skip("strace is not here, or may not trace", true);
    }
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let stage = Stage::new(&postgres);
    let new = stage.ca.server(&["localhost", "127.0.0.1"]);
    let pair = || ["server.crt", "server.key"].map(|name| fs::read(stage.server.data.join(name)).unwrap());
    let begin = stage.files();
    let old = pair();
    let run = |options: &[&str]| {
        Job::new("strace")
            .args(["-f", "-e", &format!("trace={}", CALLS.join(","))])
            .args(options)
            .arg(support::pgtls_bin())
            .args([
                "renew",
                &stage.server.socket(),
                "--json",
                "--config-dir",
                text(&stage.server.data),
            ])
            .args(["--dir", text(&stage.kit), "--root", text(&stage.ca.cert)])
            .args(give(&new))
            .run()
    };
    let undo = || pgtls(["undo", "--dir", text(&stage.kit)]).run();
    let log = scratch("trace").join("log");
    run(&["-o", text(&log)]).expect_status(0);
    let changed = pair();
    assert!(old != changed);
    undo().expect_status(0);
    let log = fs::read_to_string(log).unwrap();
    let mut tried = 0;
    for call in CALLS {
        // Writes to sockets and to the terminal are most of what `write` does: those to files come first.
        let most = if call == "write" { 8 } else { usize::MAX };
        for when in 1..=log.matches(&format!(" {call}(")).count().min(most) {
            for fault in ["signal=SIGKILL", "error=ENOSPC"] {
                // A disk that is full shows at every second one as well.
                let is_full = fault == "error=ENOSPC";
                if is_full && (when % 2 == 0 || matches!(call, "unlinkat" | "fchmod")) {
                    continue;
                }
                tried += 1;
                let at = format!("{fault} at {call} {when}");
                let outcome = run(&[
                    "-o",
                    "/dev/null",
                    "-e",
                    &format!("inject={call}:{fault}:when={when}"),
                ]);
                let found = pair();
                assert!(found == old || found == changed, "{at}: halves of two pairs");
                if is_full && outcome.status != Some(0) {
                    assert!(found == old, "{at}: {}", outcome.stderr);
                }
                if tried % 3 == 0 {
                    // The next run goes on.
                    stage
                        .renew(&[&give(&new)[..], &["--root", text(&stage.ca.cert)]].concat())
                        .expect_status(0);
                    assert!(pair() == changed, "{at}: then not the new pair");
                }
                // Where nothing was written there is nothing to undo.
                let undone = undo();
                assert!(
                    undone.ok || undone.stderr.contains("nothing to undo"),
                    "{at}: {}",
                    undone.stderr
                );
                assert!(
                    stage.files() == begin,
                    "{at}: undo does not give back what was there"
                );
            }
        }
    }
    assert!(tried > 30, "only {tried} faults were tried");
}

/// What ends is said before: lists and CAs by `audit`, everything in the kits by `verify --expiring`.
#[test]
fn what_ends_is_said_before() {
    let Some(postgres) = Postgres::find(17) else {
        return;
    };
    let stage = Stage::new(&postgres);
    stage
        .renew(&["--crl", text(&stage.ca.list(&[], -1, 2))])
        .expect_status(0);
    let audit = || -> Vec<(String, String)> {
        let report = pgtls(["audit", &stage.server.socket(), "--json", "--config-dir"])
            .arg(&stage.server.data)
            .run()
            .stdout;
        let report: Value = serde_json::from_str(&report).unwrap();
        let findings = report["findings"].as_array().unwrap().iter();
        findings
            .map(|one| {
                (
                    one["id"].to_string().replace('"', ""),
                    one["evidence"].to_string(),
                )
            })
            .filter(|(id, _)| id.starts_with("crl") || id.starts_with("client-ca"))
            .collect()
    };
    let found = audit();
    assert!(found.len() == 1 && found[0].0 == "crl-expires", "{found:?}");
    // A CA that has ended, and no list of it.
    let roots = stage.server.data.join("root.crt");
    let ended = stage.ca.expired();
    fs::write(
        &roots,
        [fs::read(&stage.ca.cert).unwrap(), fs::read(&ended.cert).unwrap()].concat(),
    )
    .unwrap();
    let ids: Vec<_> = audit().into_iter().map(|(id, _)| id).collect();
    for id in ["client-ca-expired", "crl-missing", "crl-expires"] {
        assert!(ids.iter().any(|found| found == id), "{id}: {ids:?}");
    }

    let project = Project::new(&Account::current());
    project
        .up("mtls", &postgres)
        .args(["--days", "20"])
        .run()
        .expect_status(0);
    let verify = |days: &str| {
        let outcome = project
            .pgtls(&["verify", "--probes", "connect", "--json", "--expiring", days])
            .run();
        let told: Value = serde_json::from_str(&outcome.stdout).unwrap();
        (outcome.status, told)
    };
    let (status, told) = verify("10");
    assert_eq!(
        (status, &told["expiring"]),
        (Some(0), &Value::Bool(false)),
        "{told:#}"
    );
    let parts: Vec<_> = told["certificates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["part"].to_string())
        .collect();
    for part in ["server", "issuer", "client"] {
        assert!(parts.contains(&format!("\"{part}\"")), "{parts:?}");
    }
    let (status, told) = verify("30");
    assert_eq!(
        (status, &told["expiring"]),
        (Some(1), &Value::Bool(true)),
        "{told:#}"
    );
    // A list in a kit counts as well.
    let ca = Ca::existing(&project.dir.join("ca/root.crt"), &project.dir.join("ca/ca.key"));
    fs::copy(ca.list(&[], -1, 4), project.kit().join("root.crl")).unwrap();
    let (status, told) = verify("10");
    assert_eq!(status, Some(1), "{told:#}");
    let list = told["certificates"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["part"] == "list")
        .unwrap();
    assert!(list["days_left"].as_i64().unwrap() <= 4, "{list}");
}

/// What `harden` began, `renew` goes on with: its CA, its directory.
#[test]
fn a_hardened_server_is_renewed_by_the_ca_that_harden_made() {
    let Some(postgres) = Postgres::find(17) else {
        return;
    };
    let server = TestServer::builder(&postgres)
        .sql("create role app login password 'pw'")
        .hba("host all all 127.0.0.1/32 scram-sha-256")
        .start();
    let account = Account::server();
    let kit = scratch("kit");
    account.own(&kit);
    let run = |args: &[&str]| pgtls(args).args(["--dir", text(&kit)]).account(&account).run();
    let elsewhere = [&server.socket(), "--config-dir", text(&server.data), "--yes"];
    run(&[&["harden"][..], &elsewhere, &["--stage", "on"]].concat()).expect_status(0);
    let psql = |root: &Path| {
        let conninfo = format!(
            "host=localhost port={} user=app password=pw dbname=postgres sslmode=verify-full sslrootcert={}",
            server.port,
            root.display()
        );
        psql_as(&account, &conninfo, "select 1").ok
    };
    let first = scratch("root").join("root.crt");
    fs::copy(kit.join("ca/root.crt"), &first).unwrap();
    assert!(psql(&first));
    let serial = serial_served(server.port);
    run(&[&["renew"][..], &elsewhere].concat()).expect_status(0);
    let renewed = serial_served(server.port);
    assert_ne!(renewed, serial);
    assert!(psql(&first));
    assert!(
        !kit.join("server/postgresql.conf").exists(),
        "the server's own files are none of the project's"
    );
    for (stage, works) in [("trust", true), ("issue", false), ("withdraw", false)] {
        run(&[&["renew"][..], &elsewhere, &["--ca", "--stage", stage]].concat()).expect_status(0);
        let clients = fs::read_dir(kit.join("clients"))
            .unwrap()
            .flatten()
            .next()
            .unwrap();
        assert!(psql(&clients.path().join("root.crt")), "{stage}");
        assert_eq!(psql(&first), works, "{stage}: the root of before");
    }
}

/// A server that `harden` was at, and its kit.
struct Hardened {
    server: TestServer,
    kit: PathBuf,
    account: Account,
}

impl Hardened {
    fn new(major: u16, stages: &[&str]) -> Option<Self> {
        let postgres = Postgres::find(major)?;
        let server = TestServer::builder(&postgres)
            .sql("create role app login password 'pw'")
            .hba("host all all 127.0.0.1/32 scram-sha-256")
            .start();
        let account = Account::server();
        let kit = scratch("kit");
        account.own(&kit);
        let it = Self { server, kit, account };
        for stage in stages {
            it.run(&["harden", &it.server.socket(), "--yes", "--stage", stage])
                .expect_status(0);
        }
        Some(it)
    }

    fn run(&self, args: &[&str]) -> Outcome {
        pgtls(args)
            .args(["--dir", text(&self.kit)])
            .account(&self.account)
            .run()
    }

    fn psql(&self, root: &Path) -> bool {
        let conninfo = format!(
            "host=localhost port={} user=app password=pw dbname=postgres sslmode=verify-full sslrootcert={}",
            self.server.port,
            root.display()
        );
        psql_as(&self.account, &conninfo, "select 1").ok
    }

    fn root(&self) -> PathBuf {
        self.kit.join("clients/postgres/root.crt")
    }

    /// Content of what the server reads and of what the kit holds, its books apart.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        for dir in [
            self.server.data.clone(),
            self.kit.clone(),
            self.kit.join("ca"),
            self.kit.join("server"),
            self.kit.join("clients/postgres"),
        ] {
            let plain = fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path());
            let plain = plain.filter(|path| path.is_file() && !path.ends_with("postmaster.pid"));
            files.extend(plain.map(|path| (path.clone(), fs::read(path).unwrap())));
        }
        files.sort();
        files
    }

    #[track_caller]
    fn refused(&self, args: &[&str], word: &str) {
        let before = self.files();
        let refused = self.run(args);
        assert!(!refused.ok && refused.stderr.contains(word), "{}", refused.stderr);
        assert!(self.files() == before, "something was written");
    }
}

/// `renew` in the kit of a live server is that server's, without being told which; nothing is said to be done that is not.
#[test]
fn in_the_kit_of_a_live_server_it_is_that_servers_renewal() {
    let Some(mut it) = Hardened::new(15, &["on"]) else {
        return;
    };
    // An open request, with its key, is none of it.
    it.run(&["csr"]).expect_status(0);
    let request = fs::read(it.kit.join("request/server.key")).unwrap();
    let serial = serial_served(it.server.port);
    it.run(&["renew", "--yes"]).expect_status(0);
    let renewed = serial_served(it.server.port);
    assert_ne!(renewed, serial);
    assert_eq!(renewed, serial_of(&it.kit.join("server/server.crt")));
    assert!(it.psql(&it.root()));
    assert_eq!(fs::read(it.kit.join("request/server.key")).unwrap(), request);
    // With a way in, and its files where the server says they are.
    it.run(&["renew", &it.server.socket(), "--yes"]).expect_status(0);
    assert_ne!(serial_served(it.server.port), renewed);
    assert!(it.kit.join("request/server.csr").exists());

    let stage = |stage| ["renew", "--yes", "--ca", "--stage", stage];
    it.run(&stage("trust")).expect_status(0);
    let both = scratch("root").join("root.crt");
    fs::copy(it.root(), &both).unwrap();
    // Out of reach nothing is put down as done.
    it.server.stop();
    it.refused(&stage("issue"), "pgtls renew CONNINFO --config-dir");
    it.refused(&["renew", "--yes"], "pgtls renew CONNINFO --config-dir");
    assert!(it.server.restart(), "{}", it.server.log());
    // Issued, but the server was given its files from before: the old CA is not withdrawn under it.
    let pair: Vec<_> = ["server.crt", "server.key"]
        .map(|name| it.server.data.join(name))
        .into_iter()
        .map(|path| (fs::read(&path).unwrap(), path))
        .collect();
    it.run(&stage("issue")).expect_status(0);
    assert!(it.psql(&both));
    let put = |it: &mut Hardened, pair: &[(Vec<u8>, PathBuf)]| {
        let before: Vec<_> = pair
            .iter()
            .map(|(_, path)| (fs::read(path).unwrap(), path.clone()))
            .collect();
        for (bytes, path) in pair {
            fs::write(path, bytes).unwrap();
        }
        assert!(it.server.restart(), "{}", it.server.log());
        before
    };
    let new = put(&mut it, &pair);
    it.refused(&stage("withdraw"), "does not serve the new CA's certificate yet");
    put(&mut it, &new);
    it.run(&stage("withdraw")).expect_status(0);
    assert!(it.psql(&both) && it.psql(&it.root()));
}

/// Another CA's certificate is put in force: the kit's clients, its answers and the next stages follow.
#[test]
fn the_kit_follows_a_certificate_of_another_ca() {
    let Some(it) = Hardened::new(17, &["on"]) else {
        return;
    };
    let company = Ca::new("company");
    let leaf = company.server(&["localhost", "127.0.0.1", "::1"]);
    let given = scratch("given");
    for (from, to) in [
        (&leaf.cert, "a.crt"),
        (&leaf.key, "a.key"),
        (&company.cert, "root.crt"),
    ] {
        fs::copy(from, given.join(to)).unwrap();
        it.account.own(&given.join(to));
    }
    let [cert, key, root] = ["a.crt", "a.key", "root.crt"].map(|name| given.join(name));
    let old = scratch("root").join("root.crt");
    fs::copy(it.root(), &old).unwrap();
    let said = it
        .run(&[
            "renew",
            "--yes",
            "--cert",
            text(&cert),
            "--key",
            text(&key),
            "--root",
            text(&root),
        ])
        .expect_status(0)
        .stderr;
    assert!(
        said.contains("root.crt holds") && said.contains("company"),
        "{said}"
    );
    assert!(!it.psql(&old) && it.psql(&root));
    let both = scratch("root").join("root.crt");
    fs::copy(it.root(), &both).unwrap();
    assert!(it.psql(&both), "the kit's root.crt");
    // The stages go on from there, and leave it in force.
    let standing = it
        .run(&["harden", &it.server.socket(), "--json"])
        .expect_status(0)
        .json();
    assert_eq!(standing["stages"][0]["in_files"], true, "{standing:#}");
    let before = it.files();
    it.run(&["harden", &it.server.socket(), "--yes", "--stage", "on"])
        .expect_status(0);
    assert!(it.files() == before);
    it.run(&["harden", &it.server.socket(), "--yes", "--stage", "require"])
        .expect_status(0);
    assert!(it.psql(&root) && it.psql(&it.root()));
    // The kit's own CA does not replace it.
    it.refused(&["renew", "--yes"], "--cert FILE");
    it.run(&["undo"]).expect_status(0);
    it.run(&["undo"]).expect_status(0);
    assert!(
        it.psql(&both) && it.psql(&old),
        "as it was, and whoever has both comes in"
    );
    assert!(fs::read(it.root()).unwrap() == fs::read(&old).unwrap());
}

/// Whose clients the server accepts beside the kit's: they are not shut out by a new CA of the kit.
#[test]
fn the_cas_of_others_stay_when_the_kits_is_followed_by_another() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    let company = Ca::new("company");
    let server = TestServer::builder(&postgres)
        .tls(&company.server(&["localhost"]))
        .client_ca(&company.cert)
        .hba("host all all 127.0.0.1/32 scram-sha-256")
        .sql("create role app login password 'pw'")
        .start();
    let account = Account::server();
    let kit = scratch("kit");
    account.own(&kit);
    let it = Hardened { server, kit, account };
    let socket = it.server.socket();
    it.run(&[
        "harden",
        &socket,
        "--yes",
        "--replace-certificate",
        "--stage",
        "mtls",
    ])
    .expect_status(0);
    let client = company.client("app");
    for path in [&client.cert, &client.key] {
        it.account.own(path);
    }
    let comes_in = || {
        let conninfo = format!(
            "host=localhost port={} user=app password=pw dbname=postgres sslmode=verify-full sslrootcert={} sslcert={} sslkey={}",
            it.server.port,
            it.root().display(),
            client.cert.display(),
            client.key.display()
        );
        psql_as(&it.account, &conninfo, "select 1").ok
    };
    assert!(comes_in());
    for (stage, count) in [("trust", 3), ("issue", 3), ("withdraw", 2)] {
        it.run(&["renew", "--yes", "--ca", "--stage", stage])
            .expect_status(0);
        assert!(comes_in(), "{stage}");
        let file = it.server.sql("show ssl_ca_file").stdout.trim().to_owned();
        let cas = fs::read_to_string(it.server.data.join(file)).unwrap();
        assert_eq!(cas.matches("BEGIN CERTIFICATE").count(), count, "{stage}");
    }
    // It is told what a way back means, and what it does not mean is not.
    for (words, others, left) in [
        ("are let in again", "serves its certificate", "3 earlier writes"),
        (
            "serves its certificate from before again",
            "are refused",
            "2 earlier writes",
        ),
        ("are refused", "serves its certificate", "one earlier write"),
    ] {
        let undone = pgtls(["undo", "--dir", text(&it.kit)])
            .account(&it.account)
            .run()
            .expect_status(0);
        assert!(undone.stdout.contains(words), "{words}: {}", undone.stdout);
        assert!(!undone.stdout.contains(others), "{others}: {}", undone.stdout);
        assert!(undone.stderr.contains(left), "{left}: {}", undone.stderr);
    }
}
