//! Asking a CA of the person's own for a certificate: a key that stays here, and a request that goes to the CA.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::apply::{self, Policy, Project, compare_beside};
use crate::pki::{Algorithm, HostName, PrivateKey, printable, request_client, request_server};
use crate::plan::{Artifact, Content, Layout};

use super::{Error, files, prepare};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A server by these names; empty: those of the project.
    Server(Vec<HostName>),
    /// A client with this CN.
    Client(String),
}

/// A request that was made.
#[derive(Debug)]
pub struct Asked {
    /// The request, for the CA.
    pub request: PathBuf,
    /// The key, 0600.
    pub key: PathBuf,
    /// The request in PEM.
    pub pem: String,
    /// What it asks for, safe to show.
    pub names: Vec<String>,
    /// Kind of the key.
    pub algorithm: String,
    /// Whether the key of an earlier request was used again.
    pub kept_key: bool,
}

/// Makes the key and the request, in one journaled write. A key of an earlier request is used again, so that what the CA
/// answers to that one still fits; `new_key` makes another.
pub fn ask(
    dir: &Path,
    subject: &Subject,
    algorithm: Option<Algorithm>,
    new_key: bool,
) -> Result<Asked, Error> {
    let setup = match prepare::project(dir) {
        Ok(setup) => Some(setup),
        Err(Error::NoProject(_)) => None,
        Err(error) => return Err(error),
    };
    let (key_file, request_file) = match subject {
        Subject::Server(_) => (PathBuf::from(Layout::REQUEST_KEY), PathBuf::from(Layout::REQUEST)),
        Subject::Client(cn) => client_files(cn)?,
    };
    let wanted = algorithm.or(setup.as_ref().map(|setup| setup.algorithm));
    let earlier = files::read("the key of the earlier request", &dir.join(&key_file))?
        .filter(|_| !new_key)
        .map(|pem| PrivateKey::from_pem(&pem, None))
        .transpose()
        .map_err(|error| Error::File {
            what: "the key of the earlier request",
            path: dir.join(&key_file),
            why: error.to_string(),
            remedy: "make another with --new-key".to_owned(),
        })?;
    let earlier = earlier.filter(|key| algorithm.is_none_or(|wanted| key.kind().algorithm() == Some(wanted)));
    let kept_key = earlier.is_some();
    let key = match earlier {
        Some(key) => key,
        None => PrivateKey::generate(wanted.unwrap_or(Algorithm::P256))
            .map_err(crate::pki::AuthorityError::from)?,
    };
    let (pem, names) = match subject {
        Subject::Client(cn) => (request_client(cn, &key)?, vec![format!("CN={}", printable(cn))]),
        Subject::Server(hosts) => {
            let known = setup.map(|setup| setup.hosts).unwrap_or_default();
            let hosts = if hosts.is_empty() { &known } else { hosts };
            if hosts.is_empty() {
                return Err(Error::DoesNotFit {
                    what: "it is not known by which names clients dial the server".to_owned(),
                    remedy: "name each with --host, DNS names and addresses".to_owned(),
                });
            }
            let names = hosts.iter().map(ToString::to_string).collect();
            (request_server(hosts, &key)?, names)
        }
    };
    let project = Project::create(dir)?;
    let artifacts = [
        Artifact {
            path: key_file.clone(),
            mode: 0o600,
            content: Content::Secret {
                bytes: Zeroizing::new(key.to_pem().as_bytes().to_vec()),
                description: format!(
                    "{} private key, public key SHA-256 {}",
                    key.algorithm_name(),
                    key.public_fingerprint()
                ),
            },
        },
        Artifact {
            path: request_file.clone(),
            mode: 0o644,
            content: Content::Public {
                bytes: pem.clone().into_bytes(),
                description: format!("certificate request for {}", names.join(", ")),
            },
        },
    ];
    apply::write(&project, compare_beside(&project, &artifacts)?, Policy::KeepCopy)?;
    let dir = prepare::absolute(dir);
    Ok(Asked {
        request: dir.join(request_file),
        key: dir.join(key_file),
        pem,
        names,
        algorithm: key.algorithm_name(),
        kept_key,
    })
}

/// Files named after the client, whose name must do as one.
fn client_files(cn: &str) -> Result<(PathBuf, PathBuf), Error> {
    let plain = |c: char| c.is_alphanumeric() || "._-@".contains(c);
    if cn.is_empty() || cn.len() > 64 || cn.starts_with('.') || !cn.chars().all(plain) || cn == "server" {
        return Err(Error::DoesNotFit {
            what: format!("\"{}\" does not do as the name of a file", printable(cn)),
            remedy: "use letters, digits and . _ - @; for another CN make the request with openssl req"
                .to_owned(),
        });
    }
    let file = |ending: &str| Path::new("request").join(format!("{cn}.{ending}"));
    Ok((file("key"), file("csr")))
}
