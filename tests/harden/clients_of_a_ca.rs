//! Client certificates of a company's CA, whose key nobody here has: required all the same, and proven by one that is named.

use std::fs;
use std::path::{Path, PathBuf};

use crate::live::Live;
use crate::support::{Ca, Leaf, Outcome, Postgres, TestServer};

/// A server with a company's certificate, and what its clients have.
struct Company {
    ca: Ca,
    live: Live,
    root: PathBuf,
}

impl Company {
    fn new(major: u16, lists: impl FnOnce(&Ca) -> Option<PathBuf>) -> Option<Self> {
        let ca = Ca::new("company");
        let builder = TestServer::builder(&Postgres::find(major)?)
            .tls(&ca.server(&["localhost"]))
            .conf("password_encryption = 'scram-sha-256'")
            .hba("host all all all scram-sha-256")
            .sql("create role app login password 'pw'");
        let server = match lists(&ca) {
            Some(list) => builder.client_ca(&ca.cert).client_crl(&list),
            None => builder,
        };
        let live = Live::new(server.start());
        let root = live.kit.join("company.crt");
        fs::copy(&ca.cert, &root).unwrap();
        live.account.own(&root);
        Some(Self { ca, live, root })
    }

    /// A copy that the account which hardens may read, as a person has their own.
    fn mine(&self, leaf: &Leaf) -> Leaf {
        let own = |from: &Path| {
            let to = self.live.kit.join(format!(
                "{}-{}",
                from.parent().unwrap().file_name().unwrap().to_str().unwrap(),
                from.file_name().unwrap().to_str().unwrap()
            ));
            fs::copy(from, &to).unwrap();
            self.live.account.own(&to);
            to
        };
        Leaf {
            cert: own(&leaf.cert),
            key: own(&leaf.key),
        }
    }

    fn conninfo(&self) -> String {
        format!(
            "{} sslrootcert={}",
            self.live.server.socket(),
            self.root.display()
        )
    }

    fn mtls(&self, client: Option<&Leaf>, more: &[&str]) -> Outcome {
        let conninfo = self.conninfo();
        let mut job = self
            .live
            .pgtls(&["harden", &conninfo, "--yes", "--stage", "mtls"])
            .arg("--client-ca")
            .arg(&self.root)
            .args(more);
        if let Some(client) = client {
            job = job
                .arg("--client-cert")
                .arg(&client.cert)
                .arg("--client-key")
                .arg(&client.key);
        }
        job.run()
    }

    /// psql as `app` with this certificate.
    fn app(&self, client: &Leaf) -> Outcome {
        self.live.app(&format!(
            "sslmode=verify-full sslrootcert={} sslcert={} sslkey={}",
            self.root.display(),
            client.cert.display(),
            client.key.display()
        ))
    }
}

#[test]
fn certificates_of_a_companys_ca_are_required_and_proven_by_a_named_one() {
    let Some(company) = Company::new(17, |_| None) else {
        return;
    };
    let (live, before) = (&company.live, company.live.files());
    let app = company.mine(&company.ca.client("app"));
    let refused = |client: Option<&Leaf>, status: i32, says: &str| {
        let outcome = company.mtls(client, &[]).expect_status(status);
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(said.contains(says), "{said}");
        assert!(live.files() == before, "{says}");
    };
    // Each is found out before anything is written.
    refused(None, 2, "--client-cert FILE");
    refused(
        Some(&company.mine(&Ca::new("stranger").client("app"))),
        2,
        "company.crt",
    );
    refused(
        Some(&company.mine(&company.ca.client_between("app", -30, -2))),
        2,
        "expired",
    );
    refused(
        Some(&Leaf {
            key: company.mine(&company.ca.client("app")).key,
            cert: app.cert.clone(),
        }),
        2,
        "does not fit",
    );
    refused(
        Some(&company.mine(&company.ca.client("nobody here"))),
        2,
        "no role of that name",
    );

    let report = company.mtls(Some(&app), &[]).expect_status(0).json();
    assert_eq!(report["in_force"], true, "{report:#}");
    let said = report["notes"].to_string();
    assert!(said.contains("for the role app"), "{said}");
    // No certificate for a client is made here, and no key of a CA for them is.
    assert!(!live.kit.join("clients/app/client.crt").exists());
    company.app(&app).expect_ok("a certificate of the company's");
    let later = company.mine(&company.ca.client("app"));
    company.app(&later).expect_ok("another one of the company's");
    let without = format!("sslmode=verify-full sslrootcert={}", company.root.display());
    assert!(!live.app(&without).ok, "no certificate");
    assert!(!live.app("sslmode=disable").ok, "plaintext");
    for (what, leaf) in [
        ("another CA", Ca::new("stranger").client("app")),
        ("another role", company.ca.client("postgres")),
        ("expired", company.ca.client_between("app", -30, -2)),
    ] {
        assert!(!company.app(&company.mine(&leaf)).ok, "{what}");
    }
    // It is remembered.
    let standing = live
        .pgtls(&["harden", &company.conninfo()])
        .run()
        .expect_status(0)
        .json();
    let mtls = standing["stages"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["stage"] == "mtls")
        .unwrap();
    assert_eq!(mtls["in_files"], true, "{standing:#}");
    live.undo();
    live.ends_as(&before, true, "undone");
}

#[test]
fn a_companys_names_are_mapped_and_its_lists_are_heeded() {
    let mut revoked = None;
    let company = Company::new(18, |ca| {
        let leaf = ca.client("app.example.org");
        let list = ca.list(&[&leaf], -1, 30);
        revoked = Some(leaf);
        Some(list)
    });
    let Some(company) = company else { return };
    let before = company.live.files();
    let named = ["--auth", "cert", "--client", "app.example.org=app"];
    let revoked = company.mine(&revoked.unwrap());
    let said = company.mtls(Some(&revoked), &named).expect_status(2).stderr;
    assert!(said.contains("revoked"), "{said}");
    assert!(company.live.files() == before);
    let good = company.mine(&company.ca.client("app.example.org"));
    company.mtls(Some(&good), &named).expect_status(0);
    company.app(&good).expect_ok("mapped");
    assert!(!company.app(&revoked).ok, "revoked");
    let bare = company.mine(&company.ca.client("other.example.org"));
    assert!(!company.app(&bare).ok, "nobody's name");
    company.live.undo();
    assert!(company.live.files() == before);
}

#[test]
fn what_is_no_ca_to_trust_is_refused() {
    let Some(company) = Company::new(15, |_| None) else {
        return;
    };
    let before = company.live.files();
    let below = company.ca.intermediate("below");
    let expired = Ca::new("old");
    let app = company.mine(&company.ca.client("app"));
    let leaf = fs::read(&app.cert).unwrap();
    let ended = fs::read(expired.expired().cert).unwrap();
    for (bytes, says) in [
        (fs::read(&below.cert).unwrap(), "there is no root"),
        (leaf, "is no CA"),
        (ended, "ended on"),
        (b"nothing".to_vec(), "company.crt"),
    ] {
        fs::write(&company.root, bytes).unwrap();
        let live = &company.live;
        let refused = live
            .pgtls(&["harden", &live.server.socket(), "--yes", "--stage", "mtls"])
            .arg("--client-ca")
            .arg(&company.root)
            .run();
        assert!(!refused.ok);
        assert!(refused.stderr.contains(says), "{says}: {}", refused.stderr);
        assert!(live.files() == before);
    }
}
