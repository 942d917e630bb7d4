//! The validated answers.

use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::image::Image;
pub use crate::pki::Algorithm;
use crate::pki::HostName;

/// Who proves who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The server proves itself with a certificate; people log in with a password.
    OneWay,
    /// Both sides prove themselves with certificates.
    Mtls,
}

/// How people log in (`auth-method` of `pg_hba.conf`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Auth {
    /// `scram-sha-256`, a password.
    #[serde(rename = "scram")]
    Scram,
    /// `cert`, the client certificate is the login.
    #[serde(rename = "cert")]
    Cert,
    /// `scram-sha-256 clientcert=verify-full`, both.
    #[serde(rename = "scram+cert")]
    ScramCert,
}

/// Where PostgreSQL runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Run {
    /// From this machine's binaries, under the person's control.
    Sandbox,
    /// In a container, by Docker Compose.
    Compose,
    /// Nowhere: only the files are made.
    None,
}

impl Mode {
    /// The name as it is given on the command line and saved in `pgtls.toml`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneWay => "one-way",
            Self::Mtls => "mtls",
        }
    }
}

impl Auth {
    /// The name as it is given on the command line and saved in `pgtls.toml`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scram => "scram",
            Self::Cert => "cert",
            Self::ScramCert => "scram+cert",
        }
    }

    /// Whether a login needs a password.
    #[must_use]
    pub const fn wants_password(self) -> bool {
        matches!(self, Self::Scram | Self::ScramCert)
    }

    /// Whether a login needs a client certificate.
    #[must_use]
    pub const fn wants_certificate(self) -> bool {
        matches!(self, Self::Cert | Self::ScramCert)
    }
}

impl Run {
    /// The name as it is given on the command line and saved in `pgtls.toml`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::Compose => "compose",
            Self::None => "none",
        }
    }
}

/// The name of the container's service, by which other containers of the project dial it.
pub const SERVICE: &str = "db";

/// The names that it may have: the later ones where a compose file of the person's has the earlier.
pub const SERVICES: [&str; 4] = [SERVICE, "db-tls", "db-pgtls", "pgtls"];

/// One line of who may come in: a role, into which databases, from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The PostgreSQL role.
    pub role: String,
    /// The databases it may enter; never empty.
    pub databases: Vec<String>,
    /// Where it may come from; never empty.
    pub addresses: Vec<IpNet>,
    /// How it logs in.
    pub method: Auth,
}

/// A client certificate to issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCert {
    /// The subject's CN, and the name of the kit's directory (made safe for a file name by `plan`).
    pub cn: String,
    /// The role it logs in as; differs from `cn` only with an ident map.
    pub role: String,
}

/// Where the certificates come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateSource {
    /// A CA of pgtls's own making, in `ca/`.
    Own,
    /// A CA the person holds: certificate and key files.
    Ca {
        /// PEM, the CA certificate first.
        certificate: PathBuf,
        /// PEM, PKCS#8 or traditional, may be encrypted.
        key: PathBuf,
    },
    /// A server certificate the person was given; no CA key here.
    Given {
        /// PEM, leaf first, then intermediates.
        certificate: PathBuf,
        /// PEM.
        key: PathBuf,
        /// PEM, the roots that clients trust.
        root: PathBuf,
    },
}

/// Everything the person answered, validated. No secret in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// One-way TLS or mTLS.
    pub mode: Mode,
    /// How people log in where their access says nothing else.
    pub auth: Auth,
    /// Where PostgreSQL runs.
    pub run: Run,
    /// Names and addresses that clients dial; never empty, the first is the one we dial.
    pub hosts: Vec<HostName>,
    /// TCP port; `None` until one is chosen (the sandbox looks for a free one).
    pub port: Option<u16>,
    /// Who may come in; never empty, the first is `--user`, `--database`, `--allow`.
    pub access: Vec<Access>,
    /// Client certificates to issue; empty in one-way mode.
    pub clients: Vec<ClientCert>,
    /// Key algorithm of new keys.
    pub algorithm: Algorithm,
    /// Lifetime of leaves, days.
    pub days: u32,
    /// Lifetime of a new CA, days.
    pub ca_days: u32,
    /// Where the certificates come from.
    pub certificates: CertificateSource,
    /// The CA of the clients' certificates, whose key is elsewhere: then none is issued here. PEM.
    pub client_ca: Option<PathBuf>,
    /// Major version of PostgreSQL to use, where the person asked for one.
    pub pg_version: Option<u16>,
    /// Directory with PostgreSQL's server binaries, where the person named one.
    pub pg_bin: Option<PathBuf>,
    /// The container image, where the person named one; see [`Setup::image`].
    pub image: Option<Image>,
    /// A file that holds the password for this run's roles; not saved, since passwords live on in the client kits.
    pub password_file: Option<PathBuf>,
}

/// Whether a range holds nothing but this machine's own loopback addresses.
#[must_use]
pub fn is_loopback(net: IpNet) -> bool {
    net.network().is_loopback() && net.broadcast().is_loopback()
}

impl Setup {
    /// The name or address that we dial ourselves.
    ///
    /// # Panics
    /// Never for a validated setup, whose host list is not empty.
    #[must_use]
    pub fn dialled_host(&self) -> &HostName {
        &self.hosts[0]
    }

    /// Whether a client may come from anywhere but this machine.
    #[must_use]
    pub fn is_open_beyond_loopback(&self) -> bool {
        self.access
            .iter()
            .flat_map(|access| &access.addresses)
            .any(|net| !is_loopback(*net))
    }

    /// The image that a container is made from: the one named, else the official one of the version asked for.
    #[must_use]
    pub fn image(&self) -> Image {
        match (&self.image, self.pg_version) {
            (Some(image), _) => image.clone(),
            (None, major) => Image::official(major.unwrap_or(Image::NEWEST)),
        }
    }

    /// Whether any role logs in with a password.
    #[must_use]
    pub fn wants_passwords(&self) -> bool {
        self.access.iter().any(|access| access.method.wants_password())
    }
}
