//! The server's key is encrypted: what a reload does then is said, with `ssl_passphrase_command_supports_reload` off and on.
//! The witness is PostgreSQL: what it serves, and what it says in its log.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::live::{Live, wait_until};
use crate::support::{Account, Ca, Job, Leaf, Outcome, Postgres, TestServer, differences, tree};

const PASSPHRASE: &str = "open sesame";

/// The same key, encrypted.
fn locked(leaf: &Leaf, traditional: bool) -> Leaf {
    let key = leaf.key.with_extension("locked");
    let mut openssl = Job::new("openssl");
    openssl = if traditional {
        openssl.args(["ec", "-aes128"])
    } else {
        openssl.args(["pkey", "-aes256"])
    };
    openssl
        .args(["-passout", &format!("pass:{PASSPHRASE}"), "-in"])
        .arg(&leaf.key)
        .arg("-out")
        .arg(&key)
        .run()
        .expect_ok("openssl pkey");
    Leaf {
        cert: leaf.cert.clone(),
        key,
    }
}

struct Locked {
    live: Live,
    company: Ca,
    leaf: Leaf,
    root: PathBuf,
}

impl Locked {
    fn new(postgres: &Postgres, conf: &str) -> Self {
        let company = Ca::new("company");
        let leaf = locked(&company.server(&["localhost"]), postgres.major % 2 == 1);
        let live = Live::new(
            TestServer::builder(postgres)
                .tls(&leaf)
                .conf(&format!("ssl_passphrase_command = 'echo {PASSPHRASE}'"))
                .conf("password_encryption = 'scram-sha-256'")
                .conf(conf)
                .hba("host all all all scram-sha-256")
                .sql("create role app login password 'pw'")
                .start(),
        );
        let root = live.kit.join("company.crt");
        fs::copy(&company.cert, &root).unwrap();
        live.account.own(&root);
        Self {
            live,
            company,
            leaf,
            root,
        }
    }

    fn conninfo(&self) -> String {
        format!(
            "{} sslrootcert={}",
            self.live.server.socket(),
            self.root.display()
        )
    }

    fn run(&self, args: &[&str]) -> Outcome {
        let conninfo = self.conninfo();
        let mut all = vec![args[0], &conninfo, "--config-dir"];
        let data = self.live.server.data.display().to_string();
        all.push(&data);
        all.extend_from_slice(&args[1..]);
        self.live.pgtls(&all).run()
    }

    fn serves(&self, leaf: &Leaf) -> bool {
        let der = |text: &str| {
            let begin = text.find("-----BEGIN CERTIFICATE").unwrap_or(text.len());
            text[begin..]
                .lines()
                .take_while(|line| !line.starts_with("-----END"))
                .collect::<String>()
        };
        let presented = Job::new("openssl")
            .args(["s_client", "-starttls", "postgres", "-connect"])
            .arg(format!("127.0.0.1:{}", self.live.server.port))
            .run()
            .stdout;
        der(&presented) == der(&fs::read_to_string(&leaf.cert).unwrap())
    }

    fn key(&self) -> Vec<u8> {
        fs::read(self.live.server.data.join("server.key")).unwrap()
    }

    fn mode(&self) -> String {
        format!("sslmode=verify-full sslrootcert={}", self.root.display())
    }

    fn finding(&self) -> bool {
        let report = self.run(&["audit"]).json();
        report["findings"]
            .to_string()
            .contains("\"passphrase-no-reload\"")
    }
}

#[test]
fn what_a_reload_cannot_open_is_said_beforehand() {
    std::thread::scope(|scope| {
        for major in [13, 18] {
            scope.spawn(move || {
                if let Some(postgres) = Postgres::find(major) {
                    cannot_open(&postgres);
                }
            });
        }
    });
}

fn cannot_open(postgres: &Postgres) {
    let locked = Locked::new(postgres, "ssl_ciphers = 'HIGH'");
    let server = &locked.live.server;
    // That it is so.
    server.sql("select pg_reload_conf()");
    assert!(wait_until(Duration::from_secs(60), || {
        server
            .log()
            .contains("cannot be reloaded because it requires a passphrase")
    }));
    assert!(locked.finding());
    let before = tree(server);
    let stands = locked.run(&["harden"]).expect_status(0).json();
    let why = |at: usize| stands["stages"][at]["hindrance"]["what"].to_string();
    assert!(
        !why(0).contains("passphrase") && !why(1).contains("passphrase"),
        "{stands:#}"
    );
    for at in [2, 3] {
        assert!(
            why(at).contains("supports_reload is off") && why(at).contains("server.key"),
            "{stands:#}"
        );
    }
    for stage in ["mtls", "floor"] {
        let refused = locked
            .run(&["harden", "--stage", stage, "--yes"])
            .expect_status(1);
        assert!(
            refused.stderr.contains("nothing was written"),
            "{}",
            refused.stderr
        );
        assert!(
            refused.stderr.contains("supports_reload = on"),
            "{}",
            refused.stderr
        );
    }
    let left = differences(&before, &tree(server));
    assert!(left.is_empty(), "{}", left.join("\n"));
    // What needs no TLS loaded anew is put in force, and it is said that none is.
    let report = locked
        .run(&["harden", "--stage", "require", "--yes"])
        .expect_status(0)
        .json();
    assert!(
        report["notes"].to_string().contains("TLS stays as it was loaded"),
        "{report:#}"
    );
    assert!(!locked.live.app("sslmode=disable").ok);
    locked.live.app(&locked.mode()).expect_ok("verify-full");
    locked.live.undo();
    let left = differences(&before, &tree(server));
    assert!(left.is_empty(), "{}", left.join("\n"));
}

#[test]
fn what_a_reload_opens_is_put_in_force() {
    let Some(postgres) = Postgres::find(17) else {
        return;
    };
    let locked = Locked::new(
        &postgres,
        "ssl_passphrase_command_supports_reload = on\nssl_ciphers = 'HIGH'",
    );
    assert!(!locked.finding());
    let before = tree(&locked.live.server);
    let stages = ["require", "mtls", "floor"];
    for stage in stages {
        let args = ["harden", "--stage", stage, "--yes", "--client", "app"];
        let report = locked
            .run(if stage == "mtls" { &args } else { &args[..4] })
            .expect_status(0)
            .json();
        assert_eq!(report["in_force"], true, "{report:#}");
    }
    let mode = format!("{} {}", locked.mode(), locked.live.certificate());
    locked
        .live
        .app(&mode)
        .expect_ok("with the certificate of the kit");
    assert!(!locked.live.server.log().contains("was not reloaded"));
    for _ in stages {
        locked.live.undo();
    }
    let left = differences(&before, &tree(&locked.live.server));
    assert!(left.is_empty(), "{}", left.join("\n"));

    // The command fails when it is asked: ciphers alone show nowhere from outside, and are not in force all the same.
    let server = &locked.live.server;
    server.sql("alter system set ssl_passphrase_command = 'false'");
    let before = tree(server);
    let failed = locked
        .run(&["harden", "--stage", "floor", "--yes"])
        .expect_status(1);
    assert!(
        failed.stderr.contains("did not load TLS anew"),
        "{}",
        failed.stderr
    );
    let left = differences(&before, &tree(server));
    assert!(left.is_empty(), "{}", left.join("\n"));
}

fn own(live: &Live, path: &Path) -> String {
    let copy = live.kit.join(path.file_name().unwrap());
    fs::copy(path, &copy).unwrap();
    live.account.own(&copy);
    copy.display().to_string()
}

#[test]
fn a_certificate_is_renewed_beside_an_encrypted_key() {
    let Some(postgres) = Postgres::find(15) else {
        return;
    };
    for reloads in [false, true] {
        let conf = format!("ssl_passphrase_command_supports_reload = {reloads}");
        let locked = Locked::new(&postgres, &conf);
        let live = &locked.live;
        let before = tree(&live.server);
        let key = locked.key();
        // Another certificate for the key that is there.
        let request = locked.leaf.key.with_extension("csr");
        Job::new("openssl")
            .args([
                "req",
                "-new",
                "-subj",
                "/CN=localhost",
                "-addext",
                "subjectAltName=DNS:localhost",
            ])
            .args(["-passin", &format!("pass:{PASSPHRASE}"), "-key"])
            .arg(&locked.leaf.key)
            .arg("-out")
            .arg(&request)
            .run()
            .expect_ok("openssl req");
        let signed = locked.company.sign(&request);
        let next = Leaf {
            cert: signed.clone(),
            key: locked.leaf.key.clone(),
        };
        let cert = own(live, &signed);
        let secret = live.kit.join("passphrase");
        fs::write(&secret, PASSPHRASE).unwrap();
        fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        live.account.own(&secret);
        let secret = secret.display().to_string();
        let renew = |more: &[&str]| {
            let mut args = vec!["renew", "--cert", &cert, "--host", "localhost"];
            args.extend_from_slice(more);
            locked.run(&args)
        };
        let closed = renew(&[]).expect_status(2);
        assert!(
            closed.stderr.contains("is encrypted") && closed.stderr.contains("--passphrase-file"),
            "{}",
            closed.stderr
        );
        let outcome = renew(&["--passphrase-file", &secret]);
        if reloads {
            outcome.expect_status(0);
            assert!(locked.serves(&next), "served");
            assert!(locked.key() == key, "the key stays as it is, encrypted");
            live.pgtls(&["undo"]).run().expect_status(0);
            assert!(wait_until(Duration::from_secs(60), || locked.serves(&locked.leaf)));
        } else {
            let outcome = outcome.expect_status(2);
            assert!(
                outcome.stderr.contains("supports_reload is off"),
                "{}",
                outcome.stderr
            );
            assert!(
                outcome.stderr.contains("nothing was written"),
                "{}",
                outcome.stderr
            );
        }
        let left = differences(&before, &tree(&live.server));
        assert!(left.is_empty(), "{reloads}: {}", left.join("\n"));

        // Another pair: its key is not encrypted, so any reload loads it, and that is said.
        let other = locked.company.server(&["localhost"]);
        let (other_cert, other_key) = (own(live, &other.cert), own(live, &other.key));
        fs::set_permissions(&other_key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let report = locked
            .run(&["renew", "--cert", &other_cert, "--key", &other_key])
            .expect_status(0)
            .json();
        assert!(
            report["notes"].to_string().contains("was encrypted"),
            "{report:#}"
        );
        assert!(locked.serves(&other), "served");
        live.pgtls(&["undo"]).run();
        let left = differences(&before, &tree(&live.server));
        assert!(left.is_empty(), "{reloads}: {}", left.join("\n"));
        assert!(Account::server() == live.account);
    }
}
