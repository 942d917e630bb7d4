//! Asking a CA of the person's own for a certificate: a key that stays here, a request that goes to the CA, and its answer:
//! a client's goes into the client's kit, the server's lies beside the request until it is put in force.

use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::apply::{self, Policy, Project, compare_beside};
use crate::judge::Purpose;
use crate::pki::{
    Algorithm, Certificate, Delivery, HostName, PrivateKey, asks_the_same, printable, request_client,
    request_server,
};
use crate::plan::{Artifact, Content, Kit, Layout};

use super::incoming::{self, Against};
use super::{Error, Given, files, prepare};

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
    // A CA that has the earlier one need not be sent another.
    let sent = files::read("the earlier request", &dir.join(&request_file))?
        .filter(|sent| asks_the_same(sent, pem.as_bytes()))
        .and_then(|sent| String::from_utf8(sent.to_vec()).ok());
    let pem = sent.unwrap_or(pem);
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
    let changes = compare_beside(&project, &artifacts)?.by("csr");
    apply::write(&project, changes, Policy::KeepCopy)?;
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

/// A certificate that was filed.
#[derive(Debug)]
pub struct Filed {
    /// The certificate with its chain, absolute, and beside it a client's key, or the root of a server's.
    pub files: [PathBuf; 2],
    /// The certificate.
    pub certificate: Certificate,
    /// What was noticed on the way; sentences.
    pub notes: Vec<String>,
}

/// What a CA answered to the request of a client, checked as the server will check it, then filed into the client's kit.
pub fn file_answer(
    dir: &Path,
    cn: &str,
    answer: &Path,
    root: Option<&Path>,
    now: OffsetDateTime,
) -> Result<Filed, Error> {
    let (key_file, _) = client_files(cn)?;
    if root.is_none() {
        return Err(Error::DoesNotFit {
            what: "it is not known by which CAs the server knows its clients".to_owned(),
            remedy: "name them with --root FILE: what is in the server's ssl_ca_file".to_owned(),
        });
    }
    let key = dir.join(&key_file);
    if !key.exists() {
        return Err(Error::DoesNotFit {
            what: format!("there is no request for the client {} here", printable(cn)),
            remedy: "make it first with `pgtls csr --client CN`: its key stays here".to_owned(),
        });
    }
    let given = Given {
        certificate: Some(answer.to_path_buf()),
        key: Some(key),
        root: root.map(Path::to_path_buf),
        ..Given::default()
    };
    let against = Against {
        purpose: Purpose::Client,
        keys: Vec::new(),
        names: &[],
        trust: None,
        present: &[],
        now,
    };
    let checked = incoming::check(&given, against)?;
    let leaf = checked.identity.leaf();
    if leaf.common_name() != Some(cn) {
        return Err(Error::File {
            what: "the certificate",
            path: answer.to_path_buf(),
            why: format!(
                "its common name is \"{}\", not \"{}\": PostgreSQL would take it for another role",
                printable(leaf.common_name().unwrap_or_default()),
                printable(cn)
            ),
            remedy: "have the CA keep the common name that the request asks for".to_owned(),
        });
    }
    let kit = match prepare::project(dir) {
        Ok(setup) => Kit::all(&setup)
            .into_iter()
            .find(|kit| kit.cn.as_deref() == Some(cn))
            .map(|kit| kit.name),
        Err(Error::NoProject(_)) => None,
        Err(error) => return Err(error),
    };
    let kit = kit.unwrap_or_else(|| cn.to_owned());
    let files = ["client.crt", "client.key"].map(|name| Layout::kit_file(&kit, name));
    let chain = checked.identity.chain_pem().into_bytes();
    let public = |path: &Path| Artifact {
        path: path.to_path_buf(),
        mode: 0o644,
        content: Content::Public {
            bytes: chain.clone(),
            description: format!("certificate of the client {}", printable(cn)),
        },
    };
    let artifacts = [
        public(&Layout::answer(cn)),
        public(&files[0]),
        Artifact {
            path: files[1].clone(),
            mode: 0o600,
            content: Content::Secret {
                bytes: Zeroizing::new(checked.identity.key().to_pem().as_bytes().to_vec()),
                description: format!("key of the client {}", printable(cn)),
            },
        },
    ];
    let project = Project::create(dir)?;
    let changes = compare_beside(&project, &artifacts)?.by("csr");
    apply::write(&project, changes, Policy::KeepCopy)?;
    let dir = prepare::absolute(dir);
    Ok(Filed {
        files: files.map(|file| dir.join(file)),
        certificate: leaf.clone(),
        notes: checked.notes,
    })
}

/// What a CA answered to the request of the server, checked as clients will check it (key, chain, names, dates), then filed
/// beside the request, as PostgreSQL wants it. Without `hosts` the names are those of the project.
pub fn file_server_answer(
    dir: &Path,
    hosts: &[HostName],
    answer: &Path,
    root: Option<&Path>,
    now: OffsetDateTime,
) -> Result<Filed, Error> {
    let lacks = |what: &str, remedy: &str| Error::DoesNotFit {
        what: what.to_owned(),
        remedy: remedy.to_owned(),
    };
    let key = dir.join(Layout::REQUEST_KEY);
    if !key.exists() {
        return Err(lacks(
            "there is no request for the server here",
            "make it first with `pgtls csr --host NAME`: its key stays here",
        ));
    }
    let Some(root) = root else {
        return Err(lacks(
            "it is not known by which root clients know the server",
            "name it with --root FILE: the certificate of your CA",
        ));
    };
    let known = match prepare::project(dir) {
        Ok(setup) => setup.hosts,
        Err(Error::NoProject(_)) => Vec::new(),
        Err(error) => return Err(error),
    };
    let hosts = if hosts.is_empty() { &known } else { hosts };
    if hosts.is_empty() {
        return Err(lacks(
            "it is not known by which names clients dial the server",
            "name each with --host, as in the request",
        ));
    }
    let names: Vec<_> = hosts.iter().map(ToString::to_string).collect();
    let given = Given {
        certificate: Some(answer.to_path_buf()),
        key: Some(key),
        root: Some(root.to_path_buf()),
        ..Given::default()
    };
    let against = Against {
        purpose: Purpose::Server,
        keys: Vec::new(),
        names: &names,
        trust: None,
        present: &[],
        now,
    };
    let checked = incoming::check(&given, against)?;
    // It was read a moment ago, in any of the forms that CAs give it.
    let mut roots = Delivery::default();
    roots
        .add(&files::must_read("the root", root)?)
        .map_err(|error| Error::File {
            what: "the root",
            path: root.to_path_buf(),
            why: error.to_string(),
            remedy: "give the CA's certificate, as clients have it".to_owned(),
        })?;
    let roots: String = roots.certificates.iter().map(Certificate::to_pem).collect();
    let public = |path: &str, bytes: Vec<u8>, what: &str| Artifact {
        path: PathBuf::from(path),
        mode: 0o644,
        content: Content::Public {
            bytes,
            description: what.to_owned(),
        },
    };
    let artifacts = [
        public(
            Layout::ANSWER,
            checked.identity.chain_pem().into_bytes(),
            "certificate of the server",
        ),
        public(Layout::ANSWER_ROOT, roots.into_bytes(), "root of the server's CA"),
    ];
    let project = Project::create(dir)?;
    let changes = compare_beside(&project, &artifacts)?.by("csr");
    apply::write(&project, changes, Policy::KeepCopy)?;
    let dir = prepare::absolute(dir);
    Ok(Filed {
        files: [Layout::ANSWER, Layout::ANSWER_ROOT].map(|file| dir.join(file)),
        certificate: checked.identity.leaf().clone(),
        notes: checked.notes,
    })
}

/// Files named after the client, whose name must do as one.
pub(super) fn client_files(cn: &str) -> Result<(PathBuf, PathBuf), Error> {
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
