//! The stage of the probes' tests: a CA, its clients, servers that keep or break a promise, and what is asked of the verdict.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Builder, Ca, Job, Leaf, Outcome, Postgres, TestServer, pgtls, scratch};

pub const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The records of a server that keeps its promises.
pub const HBA_MTLS: &str = "hostssl all app all cert";
pub const HBA_ONE_WAY: &str = "hostssl all app all scram-sha-256";

/// The cast of every scene: a CA, the client it certifies, and another client of the same CA.
pub struct Cast {
    pub postgres: Postgres,
    pub ca: Ca,
    pub client: Leaf,
    pub other: Leaf,
}

impl Cast {
    /// For the system's PostgreSQL; `None`, with a skip noted, where there is none.
    pub fn new() -> Option<Self> {
        Some(Self::of(Postgres::any()?))
    }

    pub fn of(postgres: Postgres) -> Self {
        let ca = Ca::new("own ca");
        let (client, other) = (ca.client("app"), ca.client("other"));
        Self {
            postgres,
            ca,
            client,
            other,
        }
    }

    /// A server with an honest certificate that asks clients for theirs, and a role `app` that may read every setting.
    /// No `pg_hba.conf` record yet: the scene brings them.
    pub fn server(&self) -> Builder {
        self.server_with(&self.ca.server(&NAMES)).client_ca(&self.ca.cert)
    }

    /// The same with another server certificate, and without a CA for clients.
    pub fn server_with(&self, leaf: &Leaf) -> Builder {
        TestServer::builder(&self.postgres).tls(leaf).sql(
            "set password_encryption = 'scram-sha-256'; create role app login superuser password 'right'",
        )
    }

    /// libpq's keywords for that port, verify-full, without proof of the client.
    pub fn conninfo(&self, port: u16) -> String {
        format!(
            "host=localhost port={port} user=app dbname=postgres sslmode=verify-full sslrootcert={}",
            self.ca.cert.display()
        )
    }

    /// `pgtls verify --probes all --expect mtls` with the client's certificate and another one of the same CA.
    pub fn mtls(&self, port: u16, changed: &str) -> Outcome {
        let (cert, key) = (self.client.cert.display(), self.client.key.display());
        verify(
            &format!("{} sslcert={cert} sslkey={key} {changed}", self.conninfo(port)),
            "mtls",
        )
        .arg("--other-cert")
        .arg(&self.other.cert)
        .arg("--other-key")
        .arg(&self.other.key)
        .run()
    }

    /// `pgtls verify --probes all --expect one-way` with the right password.
    pub fn one_way(&self, port: u16, changed: &str) -> Outcome {
        let passfile = scratch("passfile").join("passfile");
        std::fs::write(&passfile, "*:*:*:app:right\n").unwrap();
        std::fs::set_permissions(&passfile, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        verify(
            &format!(
                "{} passfile={} {changed}",
                self.conninfo(port),
                passfile.display()
            ),
            "one-way",
        )
        .run()
    }
}

pub fn verify(conninfo: &str, expect: &str) -> Job {
    pgtls([
        "verify",
        conninfo,
        "--probes",
        "all",
        "--json",
        "--expect",
        expect,
        "--timeout",
        "3",
    ])
}

pub fn probe<'a>(report: &'a Value, id: &str) -> &'a Value {
    let probes = report["probes"].as_array().unwrap();
    probes
        .iter()
        .find(|probe| probe["id"] == id)
        .unwrap_or_else(|| panic!("no probe {id}: {report:#}"))
}

/// The probes with that `holds`.
pub fn with(report: &Value, holds: &Value) -> BTreeSet<String> {
    let probes = report["probes"].as_array().unwrap();
    probes
        .iter()
        .filter(|probe| probe["holds"] == *holds)
        .map(|probe| probe["id"].as_str().unwrap().to_owned())
        .collect()
}

/// The probe says `holds: false` and names the cause; no probe but it and its `consequences` does; nothing is verified.
#[track_caller]
pub fn broken(outcome: &Outcome, id: &str, causes: &[&str], consequences: &[&str]) {
    let report = outcome.json();
    let found = probe(&report, id);
    assert_eq!(found["holds"], false, "{id}: {report:#}");
    let told = format!("{} {}", found["observed"], found["evidence"]).to_lowercase();
    assert!(
        causes.iter().any(|cause| told.contains(&cause.to_lowercase())),
        "{id} tells none of {causes:?}: {found:#}"
    );
    assert!(
        found["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()),
        "{id} has no remedy: {found:#}"
    );
    let also: BTreeSet<_> = with(&report, &Value::Bool(false));
    let known = |probe: &String| probe == id || consequences.contains(&probe.as_str());
    assert!(also.iter().all(known), "false alarm among {also:?}: {report:#}");
    assert_ne!(report["verdict"], "verified");
    outcome.clone().expect_status(1);
}

/// Nothing is said to be broken, these probes are open, and nothing is verified.
#[track_caller]
pub fn open(outcome: &Outcome, ids: &[&str]) {
    let report = outcome.json();
    for id in ids {
        assert_eq!(probe(&report, id)["holds"], Value::Null, "{id}: {report:#}");
    }
    assert_eq!(with(&report, &Value::Bool(false)), BTreeSet::new(), "{report:#}");
    assert_ne!(report["verdict"], "verified");
    assert!(
        matches!(outcome.status, Some(1 | 4)),
        "status {:?}",
        outcome.status
    );
}

/// Everything holds.
#[track_caller]
pub fn verified(outcome: &Outcome) {
    let report = outcome.json();
    assert_eq!(
        with(&report, &Value::Bool(true)).len(),
        report["probes"].as_array().unwrap().len(),
        "{report:#}"
    );
    assert_eq!(report["verdict"], "verified");
    outcome.clone().expect_status(0);
}
