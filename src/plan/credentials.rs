//! What a plan is made from beside the setup: keys, certificates, passwords, and what was found on this machine.

use std::path::PathBuf;

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::artifact::{Artifact, Content, Line};
use super::compose::Containers;
use super::kit::{Kit, dialled};
use super::layout::Layout;
use super::stores::Stores;
use crate::pki::{Authority, Certificate, Identity, PrivateKey, printable};
use crate::setup::{Mode, Setup};

/// The keys, certificates and passwords that go into the files.
#[derive(Debug)]
pub struct Credentials {
    /// The CA to be written to `ca/`: the one that pgtls made, never one that the person holds elsewhere.
    pub authority: Option<Authority>,
    /// A CA that pgtls made to follow that one: trusted, and not issuing yet.
    pub next: Option<Authority>,
    /// The CA before, still trusted.
    pub old: Option<Certificate>,
    /// The server's certificate with its chain, and its key.
    pub server: Identity,
    /// The roots by which clients know the server (`sslrootcert`).
    pub server_roots: Vec<Certificate>,
    /// The CAs by which the server knows clients (`ssl_ca_file`); used in mTLS only.
    pub client_roots: Vec<Certificate>,
    /// One a kit, in the order of [`Kit::all`].
    pub clients: Vec<KitCredentials>,
}

/// What one client kit holds.
#[derive(Debug)]
pub struct KitCredentials {
    /// Whose it is.
    pub kit: Kit,
    /// The client certificate and its key; `None` in one-way mode.
    pub identity: Option<Identity>,
    /// The role's password; `None` where it has none.
    pub password: Option<SecretString>,
    /// The formats beside PEM that some driver wanted.
    pub stores: Stores,
}

/// What was found on this machine, and must not be asked again while planning.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The project directory, absolute.
    pub project_dir: PathBuf,
    /// The TCP port, chosen.
    pub port: u16,
    /// Major version of the server (15), where it is known.
    pub server_version: Option<u16>,
    /// Where the server reads what we write to `server/`, absolute, where that is a copy elsewhere.
    pub server_dir: Option<PathBuf>,
    /// The data directory, absolute, where it is not at `../.pgtls/data` as seen from the server's files.
    pub server_data: Option<PathBuf>,
    /// Directory of the sandbox's Unix socket, absolute; of mode 0700, since who reaches it is let in.
    pub socket_dir: PathBuf,
    /// What was found where PostgreSQL is to run in a container.
    pub containers: Option<Containers>,
    /// The present `.gitignore`, if there is one.
    pub gitignore: Option<String>,
}

impl Found {
    /// Where the server reads its files, absolute.
    #[must_use]
    pub fn server_dir(&self) -> PathBuf {
        self.server_dir
            .clone()
            .unwrap_or_else(|| self.project_dir.join(Layout::SERVER))
    }

    /// The sandbox's data directory, absolute.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.server_data.clone().unwrap_or_else(|| {
            let server = self.server_dir();
            server.parent().unwrap_or(&server).join(Layout::DATA)
        })
    }

    /// The major version to write for: that of the server at hand, else the one asked for.
    pub(super) fn major(&self, setup: &Setup) -> Option<u16> {
        self.server_version.or(setup.pg_version)
    }
}

impl Credentials {
    pub(super) fn authority(&self) -> Vec<Artifact> {
        let pair = |authority: &Authority, certificate, key| {
            [
                public(
                    certificate,
                    authority.to_pem(),
                    describe("CA", authority.certificate()),
                ),
                private(key, authority.key()),
            ]
        };
        let mut artifacts = Vec::new();
        if let Some(authority) = &self.authority {
            artifacts.extend(pair(authority, Layout::CA_CERT, Layout::CA_KEY));
        }
        if let Some(next) = &self.next {
            artifacts.extend(pair(next, Layout::NEXT_CERT, Layout::NEXT_KEY));
        }
        if let Some(old) = &self.old {
            artifacts.push(public(Layout::OLD_CERT, old.to_pem(), describe("CA", old)));
        }
        artifacts
    }

    pub(super) fn server(&self, mode: Mode) -> Vec<Artifact> {
        let mut artifacts = vec![
            public(
                Layout::SERVER_CERT,
                self.server.chain_pem(),
                describe("server", self.server.leaf()),
            ),
            private(Layout::SERVER_KEY, self.server.key()),
        ];
        if mode == Mode::Mtls {
            artifacts.push(roots(Layout::SERVER_ROOT, &self.client_roots));
        }
        artifacts
    }
}

impl KitCredentials {
    pub(super) fn artifacts(&self, setup: &Setup, credentials: &Credentials, found: &Found) -> Vec<Artifact> {
        let kit = &self.kit;
        let path = |file: &str| Layout::kit_file(&kit.name, file);
        let mut artifacts = Vec::new();
        if let Some(identity) = &self.identity {
            artifacts.push(public(
                path("client.crt"),
                identity.chain_pem(),
                describe("client", identity.leaf()),
            ));
            artifacts.push(private(path("client.key"), identity.key()));
        }
        artifacts.push(roots(path("root.crt"), &credentials.server_roots));
        artifacts.extend(
            self.stores
                .artifacts(&kit.name, self.identity.as_ref(), &credentials.server_roots),
        );
        let conninfo = kit.conninfo(setup, &found.project_dir, found.port);
        artifacts.push(Artifact::text(
            path("conninfo"),
            0o644,
            vec![Line::because(conninfo.to_keyword_value(), "conninfo")],
        ));
        if let (true, Some(password)) = (kit.wants_password, &self.password) {
            let lines = dialled(&setup.hosts).count() * kit.databases.len();
            artifacts.push(Artifact {
                path: path("passfile"),
                mode: 0o600,
                content: Content::Secret {
                    bytes: kit.passfile(setup, found.port, password),
                    description: format!("password of role {}, {lines} entries", printable(&kit.role)),
                },
            });
        }
        artifacts
    }
}

fn public(path: impl Into<PathBuf>, pem: String, description: String) -> Artifact {
    Artifact {
        path: path.into(),
        mode: 0o644,
        content: Content::Public {
            bytes: pem.into_bytes(),
            description,
        },
    }
}

fn private(path: impl Into<PathBuf>, key: &PrivateKey) -> Artifact {
    Artifact {
        path: path.into(),
        mode: 0o600,
        content: Content::Secret {
            bytes: Zeroizing::new(key.to_pem().as_bytes().to_vec()),
            description: format!(
                "{} private key, public key SHA-256 {}",
                key.algorithm_name(),
                key.public_fingerprint()
            ),
        },
    }
}

fn roots(path: impl Into<PathBuf>, roots: &[Certificate]) -> Artifact {
    let pem = roots.iter().map(Certificate::to_pem).collect();
    let description = roots
        .iter()
        .map(|root| describe("CA", root))
        .collect::<Vec<_>>()
        .join("; ");
    public(path, pem, description)
}

fn describe(kind: &str, certificate: &Certificate) -> String {
    format!(
        "{kind} certificate {}, until {}, SHA-256 {}",
        printable(certificate.subject()),
        certificate.not_after().date(),
        certificate.fingerprint_sha256()
    )
}
