//! Who comes in, by psql's word.

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use super::case::{Certificate, Fact, Place, Way};
use super::support::{Account, Ca, Leaf, TestServer, psql_as};

/// The certificates of the corpus' own making.
pub struct Own {
    pub ca: Ca,
    pub server: Leaf,
    pub snakeoil: Leaf,
    /// Revokes nobody.
    pub list: PathBuf,
}

pub const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

pub fn own() -> &'static Own {
    static OWN: OnceLock<Own> = OnceLock::new();
    OWN.get_or_init(|| {
        let ca = Ca::new("corpus ca");
        Own {
            server: ca.server(&NAMES),
            snakeoil: Leaf::self_signed(&["localhost"]),
            list: ca.list(&[], -1, 30),
            ca,
        }
    })
}

/// The CA that clients trust, and the one that certifies them.
pub struct Trust {
    root: PathBuf,
    ca: Ca,
    clients: Mutex<HashMap<String, Arc<Leaf>>>,
}

impl Trust {
    /// One CA for both.
    pub fn new(cert: &Path, key: &Path) -> Self {
        Self::with_root(cert, cert, key)
    }

    /// One for the server, and one for its clients.
    pub fn with_root(root: &Path, cert: &Path, key: &Path) -> Self {
        Self {
            root: root.to_owned(),
            ca: Ca::existing(cert, key),
            clients: Mutex::default(),
        }
    }

    fn client(&self, role: &str) -> Arc<Leaf> {
        let mut clients = self.clients.lock().unwrap();
        let leaf = clients.entry(role.to_owned()).or_insert_with(|| {
            let leaf = self.ca.client(role);
            // psql runs as the server's account here.
            Account::server().own(&leaf.cert);
            Account::server().own(&leaf.key);
            Arc::new(leaf)
        });
        Arc::clone(leaf)
    }
}

/// What became of a login.
pub struct Login {
    /// libpq's connection string.
    pub conninfo: String,
    /// Whether it came in.
    pub comes_in: bool,
    /// What psql said.
    pub said: String,
}

/// How that somebody connects. Without a `trust` TLS is not verified: what was there before need not be.
pub fn conninfo(server: &TestServer, fact: &Fact, trust: Option<&Trust>, kit: &Path) -> String {
    let way = fact.way;
    let mut conninfo = vec![
        format!("port={} connect_timeout=60 password=secret", server.port),
        format!("user={} dbname={}", quoted(&fact.role), quoted(&fact.database)),
    ];
    conninfo.push(match way.place {
        Place::Socket => format!("host={}", server.dir().display()),
        Place::V4 => "host=localhost hostaddr=127.0.0.1".to_owned(),
        Place::V6 => "host=localhost hostaddr=::1".to_owned(),
    });
    conninfo.push(match (way.tls, trust) {
        (false, _) => "sslmode=disable".to_owned(),
        (true, None) => "sslmode=require".to_owned(),
        (true, Some(trust)) => format!("sslmode=verify-full sslrootcert={}", trust.root.display()),
    });
    let files = match (way.certificate, trust) {
        (Certificate::Issued, Some(trust)) => {
            let leaf = trust.client(&fact.role);
            Some((leaf.cert.clone(), leaf.key.clone()))
        }
        (Certificate::Kit, _) => {
            let own = kit.join("clients").join(&fact.role);
            Some((own.join("client.crt"), own.join("client.key")))
        }
        _ => None,
    };
    if let Some((cert, key)) = files {
        conninfo.push(format!("sslcert={} sslkey={}", cert.display(), key.display()));
    }
    if way.replication {
        conninfo.push("replication=true".to_owned());
    }
    conninfo.join(" ")
}

/// Tries that login.
pub fn login(server: &TestServer, fact: &Fact, trust: Option<&Trust>, kit: &Path) -> Result<Login, String> {
    login_with(conninfo(server, fact, trust, kit), fact.way)
}

/// Tries that login.
pub fn login_with(conninfo: String, way: Way) -> Result<Login, String> {
    let query = if way.replication {
        "IDENTIFY_SYSTEM"
    } else {
        "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
    };
    let outcome = psql_as(&Account::server(), &conninfo, query);
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    if outcome.ok {
        let proof = if way.tls { "t\n" } else { "f\n" };
        if !way.replication && outcome.stdout != proof {
            return Err(format!(
                "psql '{conninfo}'\n{said}in, but pg_stat_ssl does not say {proof}"
            ));
        }
    } else if !is_refusal(&outcome.stderr) {
        return Err(format!("psql '{conninfo}'\n{said}that is neither in nor out"));
    }
    Ok(Login {
        conninfo,
        comes_in: outcome.ok,
        said,
    })
}

/// The server, or its certificate, turned somebody away; a server that does not answer does not.
fn is_refusal(stderr: &str) -> bool {
    const REFUSALS: [&str; 9] = [
        "no pg_hba.conf entry",
        "pg_hba.conf rejects",
        "authentication failed",
        "requires a valid client certificate",
        "server does not support SSL",
        "SSL error",
        "role \"",
        "certificate",
        "alert",
    ];
    REFUSALS.iter().any(|words| stderr.contains(words))
}

/// Whether this machine has that loopback address.
pub fn has_v6() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| TcpListener::bind("[::1]:0").is_ok())
}

fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}
