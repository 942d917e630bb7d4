//! Files that TLS needs are configured and missing, unreadable or broken: where the server stands is told all the same,
//! and the file is named. The witness is PostgreSQL, which says in its log that it did not load TLS.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::live::{Live, plain, wait_until};
use crate::support::{Account, Ca, Postgres, TestServer};

/// What is done to a file.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Gone,
    Junk,
    /// Cut off in the middle.
    Cut,
    Empty,
    Directory,
    /// Of root, and nobody else's to read.
    Hidden,
    /// Everybody may read it.
    Open,
    /// The file of another pair.
    Other,
    DanglingLink,
}

impl Fault {
    fn inflict(self, path: &Path, other: &Path) {
        let whole = fs::read(path).unwrap();
        let write = |bytes: &[u8]| fs::write(path, bytes).unwrap();
        match self {
            Self::Gone => fs::remove_file(path).unwrap(),
            Self::Junk => write(b"\x7fELF and so on\n"),
            Self::Cut => write(&whole[..whole.len() / 2]),
            Self::Empty => write(b""),
            Self::Directory => {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            }
            Self::Hidden => {
                fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
                if Account::is_root() {
                    std::os::unix::fs::chown(path, Some(0), Some(0)).unwrap();
                } else {
                    fs::set_permissions(path, fs::Permissions::from_mode(0o0)).unwrap();
                }
            }
            Self::Open => fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap(),
            Self::Other => write(&fs::read(other).unwrap()),
            Self::DanglingLink => {
                fs::remove_file(path).unwrap();
                std::os::unix::fs::symlink("/nowhere/at.all", path).unwrap();
            }
        }
    }

    fn mend(path: &Path, whole: &[u8], mode: u32) {
        if path.is_dir() {
            fs::remove_dir(path).unwrap();
        } else {
            drop(fs::remove_file(path));
        }
        fs::write(path, whole).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        Account::server().own(path);
    }
}

/// Each file with what is done to it.
const FAULTS: [(&str, &str, &[Fault]); 4] = [
    (
        "ssl_ca_file",
        "root.crt",
        &[
            Fault::Gone,
            Fault::Junk,
            Fault::Cut,
            Fault::Empty,
            Fault::Directory,
            Fault::Hidden,
            Fault::DanglingLink,
        ],
    ),
    (
        "ssl_crl_file",
        "root.crl",
        &[Fault::Gone, Fault::Junk, Fault::Empty, Fault::Hidden],
    ),
    (
        "ssl_cert_file",
        "server.crt",
        &[
            Fault::Gone,
            Fault::Junk,
            Fault::Empty,
            Fault::Hidden,
            Fault::Other,
        ],
    ),
    (
        "ssl_key_file",
        "server.key",
        &[
            Fault::Gone,
            Fault::Junk,
            Fault::Empty,
            Fault::Directory,
            Fault::Hidden,
            Fault::Open,
            Fault::Other,
        ],
    ),
];

struct Broken {
    live: Live,
    conninfo: String,
}

impl Broken {
    /// TLS of a company's CA is on and required, with certificates and lists.
    fn new(postgres: &Postgres) -> (Self, PathBuf, PathBuf) {
        let company = Ca::new("company");
        let leaf = company.server(&["localhost"]);
        let other = company.server(&["localhost"]);
        let server = TestServer::builder(postgres)
            .tls(&leaf)
            .client_ca(&company.cert)
            .client_crl(&company.list(&[], -1, 300))
            .conf("password_encryption = 'scram-sha-256'")
            .hba("hostssl all all all scram-sha-256")
            .sql("create role app login password 'pw'")
            .start();
        let live = Live::new(server);
        let root = live.kit.join("company.crt");
        fs::copy(&company.cert, &root).unwrap();
        live.account.own(&root);
        let conninfo = format!("{} sslrootcert={}", live.server.socket(), root.display());
        (Self { live, conninfo }, other.cert.clone(), other.key.clone())
    }

    /// Whether PostgreSQL takes its TLS files as they are, by its log.
    fn loads(&self) -> bool {
        let server = &self.live.server;
        let before = server.log().len();
        let at = |server: &TestServer| server.sql("select pg_conf_load_time()").stdout;
        let loaded = at(server);
        server.sql("select pg_reload_conf()");
        assert!(wait_until(Duration::from_secs(60), || at(server) != loaded));
        let mut complained = false;
        // A backend has read its files once the postmaster has.
        assert!(wait_until(Duration::from_secs(60), || {
            let log = server.log();
            let new = &log[before..];
            complained = new.contains("SSL configuration was not reloaded");
            new.contains("received SIGHUP") && (complained || self.shakes_hands())
        }));
        !complained
    }

    fn shakes_hands(&self) -> bool {
        self.live.app("sslmode=require").ok
    }

    fn stands(&self) -> (Value, String) {
        let run = |json: bool| {
            let job = if json {
                self.live.pgtls(&["harden", &self.conninfo])
            } else {
                crate::support::pgtls(["harden", &self.conninfo, "--dir"])
                    .arg(&self.live.kit)
                    .account(&self.live.account)
            };
            job.arg("--config-dir")
                .arg(&self.live.server.data)
                .run()
                .expect_status(0)
        };
        let text = run(false);
        (run(true).json(), format!("{}{}", text.stdout, text.stderr))
    }

    /// The findings of an audit that name a file: their ids.
    fn findings(&self, name: &str) -> Vec<String> {
        let report = self
            .live
            .pgtls(&["audit", &self.conninfo])
            .arg("--config-dir")
            .arg(&self.live.server.data)
            .run()
            .json();
        let all = report["findings"].as_array().unwrap().iter();
        all.filter(|one| one.to_string().contains(name))
            .map(|one| one["id"].as_str().unwrap().to_owned())
            .collect()
    }
}

#[test]
fn where_it_stands_is_told_with_the_file_that_is_in_the_way() {
    std::thread::scope(|scope| {
        for major in [13, 15, 18] {
            scope.spawn(move || {
                if let Some(postgres) = Postgres::find(major) {
                    each_fault(&postgres);
                }
            });
        }
    });
}

fn each_fault(postgres: &Postgres) {
    let (broken, other_cert, other_key) = Broken::new(postgres);
    let data = &broken.live.server.data;
    let before = broken.live.files();
    let (report, said) = broken.stands();
    assert!(!said.contains("In the way"), "{said}");
    assert_eq!(report["stages"][0]["in_files"], true, "{report:#}");
    for (setting, name, faults) in FAULTS {
        let path = data.join(name);
        let (whole, mode) = (
            fs::read(&path).unwrap(),
            fs::metadata(&path).unwrap().permissions().mode(),
        );
        let other = if setting == "ssl_key_file" {
            &other_key
        } else {
            &other_cert
        };
        for fault in faults {
            let what = format!("{} {setting} {fault:?}", postgres.major);
            fault.inflict(&path, other);
            assert!(!broken.loads(), "{what}: PostgreSQL loads it");
            let files = broken.live.files();
            let (report, said) = broken.stands();
            assert!(said.contains("In the way"), "{what}: {said}");
            assert!(said.contains(setting) && said.contains(name), "{what}: {said}");
            let why = report["stages"][0]["hindrance"]["what"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            assert!(
                why.contains("ssl_") && why.contains("cannot load"),
                "{what}: {report:#}"
            );
            assert!(broken.live.files() == files, "{what}");
            // A stage is turned down before anything is written.
            let refused = broken
                .live
                .pgtls(&["harden", &broken.conninfo, "--yes", "--stage", "floor"])
                .arg("--config-dir")
                .arg(data)
                .run()
                .expect_status(1);
            assert!(
                refused.stderr.contains("nothing was written"),
                "{what}: {}",
                refused.stderr
            );
            assert!(broken.live.files() == files, "{what}");
            let found = broken.findings(name);
            let id = match (fault, setting) {
                (Fault::Open, _) => "key-exposed",
                (Fault::Other, "ssl_cert_file") => "certificate-not-served",
                _ => "tls-file-unusable",
            };
            assert!(found.iter().any(|one| one == id), "{what}: {found:?}");
            Fault::mend(&path, &whole, mode);
            assert!(broken.loads(), "{what}: mended");
        }
    }
    assert!(broken.live.files() == before);
}

/// A pair of the project's that is lost on the server is put there again; anybody else's is theirs to put there.
#[test]
fn the_projects_own_pair_is_put_there_again() {
    let Some(postgres) = Postgres::find(17) else {
        return;
    };
    let mut live = plain(&postgres);
    live.in_force("on", &[]);
    let data = live.server.data.clone();
    let file = |name: &str| data.join(name);
    let before = live.files();
    for (name, fault) in [
        ("server.crt", Fault::Gone),
        ("server.key", Fault::Gone),
        ("server.crt", Fault::Junk),
        ("server.key", Fault::Junk),
    ] {
        let what = format!("{name} {fault:?}");
        let whole = fs::read(file(name)).unwrap();
        fault.inflict(&file(name), Path::new(""));
        let broken = live.files();
        let stands = live
            .pgtls(&["harden", &live.server.socket()])
            .run()
            .expect_status(0)
            .json();
        assert_eq!(stands["next"], "on", "{what}: {stands:#}");
        live.in_force("on", &[]);
        assert!(live.server.restart(), "{what}: {}", live.server.log());
        live.app(&live.full()).expect_ok(&what);
        live.undo();
        assert!(live.files() == broken, "{what}");
        Fault::mend(&file(name), &whole, before[&file(name)].1);
        assert!(live.server.restart());
    }
}

/// A line that PostgreSQL does not take is in the way of every stage, and no reason to say nothing.
#[test]
fn a_line_that_postgresql_does_not_take_is_named_too() {
    let Some(postgres) = Postgres::find(16).or_else(|| Postgres::find(18)) else {
        return;
    };
    let live = plain(&postgres);
    let stands = || {
        let report = live
            .pgtls(&["harden", &live.server.socket()])
            .run()
            .expect_status(0)
            .json();
        let rows = report["stages"].as_array().unwrap().clone();
        rows.iter()
            .map(|row| row["hindrance"]["what"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert!(stands().iter().all(String::is_empty));
    for (name, line) in [
        ("postgresql.conf", "this is no setting at all"),
        ("pg_hba.conf", "host all all nowhere"),
        ("postgresql.conf", "include 'not-there.conf'"),
        ("postgresql.conf", "ssl_ca_file = '/never/was.crt'"),
    ] {
        let path = live.server.data.join(name);
        let was = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{was}{line}\n")).unwrap();
        let said = stands();
        // `mtls` has a CA of its own put in the place of one that is not in force.
        let named = said.iter().filter(|why| why.contains(name)).count();
        assert!(named >= 3, "{line}: {said:?}");
        fs::write(&path, &was).unwrap();
    }
    // Nor does the command line keep it from being told.
    let bound = Live::new(
        TestServer::builder(&postgres)
            .argument("-c")
            .argument("ssl=off")
            .start(),
    );
    let report = bound
        .pgtls(&["harden", &bound.server.socket()])
        .run()
        .expect_status(0)
        .json();
    assert!(
        report["stages"][0]["hindrance"]["what"]
            .to_string()
            .contains("ssl"),
        "{report:#}"
    );
}
