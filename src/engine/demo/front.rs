//! How a person's server speaks TLS to the lesson's client: by itself, with a certificate that the client can verify; or
//! with pgtls in front of it, where it has no TLS at all. What cannot be verified is not made to look as if it could.

use std::net::SocketAddr;
use std::path::Path;

use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;

use super::stage::{BRIEF, HOST, name};
use crate::conninfo::{Resolved, RootCert};
use crate::dial::{Address, Disguise, Impostor, Plot};
use crate::engine::{Error, files};
use crate::judge::{Purpose, TrustStore, judge_chain, judge_name};
use crate::pki::{Algorithm, Authority, Bundle, Certificate, printable};

/// How TLS is spoken.
#[derive(Debug)]
pub(super) enum Front {
    /// By the server, and its certificate can be verified.
    Own {
        /// A name that its certificate carries.
        host: String,
        /// What it is verified by, PEM.
        roots: Vec<u8>,
        /// Where that is from.
        from: String,
    },
    /// By the server, and its certificate cannot be verified, for this reason.
    Unverified(String),
    /// By pgtls, since the server has none.
    Ours(Impostor),
}

impl Front {
    /// Of a server that presented this chain, to a client with this root file, who dialled by this name.
    pub fn of(
        presented: &[CertificateDer<'_>],
        resolved: &Resolved,
        dialled: Option<&str>,
        now: OffsetDateTime,
    ) -> Self {
        let Some(leaf) = presented.first().and_then(|der| Certificate::from_der(der).ok()) else {
            return Self::Unverified("its certificate cannot be read".to_owned());
        };
        let (roots, from) = match roots(resolved) {
            Ok(Some((roots, file))) => (roots, format!("verified by {}", file.display())),
            Ok(None) if leaf.is_self_issued() => (
                leaf.to_pem().into_bytes(),
                "self-signed: the client is given that very certificate as its root file".to_owned(),
            ),
            Ok(None) => {
                return Self::Unverified(format!(
                    "its certificate is issued by {}, and no root file is at hand: name one with sslrootcert",
                    printable(leaf.issuer())
                ));
            }
            Err(why) => return Self::Unverified(why),
        };
        let trust = match trust(&roots) {
            Ok(trust) => trust,
            Err(why) => return Self::Unverified(format!("the root file cannot be used: {why}")),
        };
        if let Err(refusal) = judge_chain(presented, &trust, Purpose::Server, now) {
            return Self::Unverified(format!("its certificate is refused by the root file: {refusal}"));
        }
        let addresses: Vec<String> = leaf.ip_addresses().iter().map(ToString::to_string).collect();
        let names = dialled
            .into_iter()
            .chain(leaf.dns_names().iter().map(String::as_str))
            .chain(leaf.common_name())
            .chain(addresses.iter().map(String::as_str));
        // A pattern is no name to dial by, and an impostor must be able to have a certificate for it too.
        let dialable =
            |host: &&str| !host.contains('*') && name(host).is_ok() && judge_name(leaf.der(), host).is_ok();
        match names.into_iter().find(dialable) {
            Some(host) => Self::Own {
                host: host.to_owned(),
                roots,
                from,
            },
            None => {
                Self::Unverified("its certificate carries no name that it could be dialled by".to_owned())
            }
        }
    }

    /// In front of a server without TLS.
    pub async fn ours(server: SocketAddr, authority: &Authority, now: OffsetDateTime) -> Result<Self, Error> {
        let failed = |why: String| Error::Environment {
            what: format!("TLS cannot be spoken in front of the server: {why}"),
        };
        let identity = authority.issue_server(&[name(HOST)?], Algorithm::P256, 1, now)?;
        let disguise = Disguise::terminator(&identity).map_err(|error| failed(error.to_string()))?;
        let address = Address::known(HOST, server);
        let terminator = Impostor::listen(Plot::new(disguise, BRIEF), &address).await;
        terminator
            .map(Self::Ours)
            .map_err(|error| failed(error.to_string()))
    }

    /// The name under which the server is dialled.
    pub fn host(&self) -> &str {
        match self {
            Self::Own { host, .. } => host,
            Self::Unverified(_) | Self::Ours(_) => HOST,
        }
    }

    /// In words, behind the server's name.
    pub fn in_words(&self) -> String {
        match self {
            Self::Own { host, from, .. } => {
                format!("TLS with its own certificate for {} ({from})", printable(host))
            }
            Self::Unverified(why) => format!("TLS with a certificate that the lesson cannot verify ({why})"),
            Self::Ours(_) => "which has no TLS: pgtls speaks it in front, on loopback".to_owned(),
        }
    }
}

/// The root file that psql would use, if there is one.
fn roots(resolved: &Resolved) -> Result<Option<(Vec<u8>, &Path)>, String> {
    let located = match &resolved.sslrootcert {
        RootCert::File(located) => located,
        RootCert::System => {
            return Err("the system's roots (sslrootcert=system) cannot be put into a file beside the lesson's: name the \
                        root file"
                .to_owned());
        }
    };
    let Some(path) = located.path().filter(|path| path.exists()) else {
        return Ok(None);
    };
    let bytes = files::must_read("the root file (sslrootcert)", path).map_err(|error| error.to_string())?;
    Ok(Some((bytes.to_vec(), path)))
}

fn trust(roots: &[u8]) -> Result<TrustStore, String> {
    let bundle = Bundle::from_pem(roots).map_err(|error| error.to_string())?;
    TrustStore::new(&bundle.certificates, &[]).map_err(|error| error.to_string())
}
