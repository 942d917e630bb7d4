//! What the kit of a hardened server has to know of a certificate that was given to that server: else its clients would
//! verify by the CA before, and the next stage would put the certificate before in its place.

use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::apply::{self, Locked, Policy, compare_beside};
use crate::engine::prepare::{self, Request, USUAL_PORT};
use crate::engine::{Error, Renew, Secrets, Teller, files, incoming};
use crate::judge::{Purpose, judge_chain};
use crate::pki::{Certificate, Delivery, Identity, printable};
use crate::plan::{Artifact, Content, Layout, Plan};
use crate::setup::{Answers, CertificateSource, Setup};

use super::{Rotation, belongs_to_a_server};

/// Writes it, as one write before the server's own; `false` where there is no such kit, or nothing to write.
pub async fn follow(
    wanted: &Rotation,
    project: &Locked,
    identity: &Identity,
    present: &[Certificate],
    notes: &mut Vec<String>,
) -> Result<bool, Error> {
    if wanted.issued.is_some() || !belongs_to_a_server(&wanted.dir)? {
        return Ok(false);
    }
    let dir = prepare::absolute(&wanted.dir);
    let mut setup = prepare::project(&dir)?;
    let is_given = matches!(setup.certificates, CertificateSource::Given { .. });
    // What was given before may have ended: nothing of it is needed.
    let request = Request {
        dir: dir.clone(),
        flags: Answers::default(),
        answers_file: None,
        secrets: Secrets {
            key_passphrase: wanted.given.passphrase.clone(),
            password: None,
        },
        renew: Renew::Nothing,
        gathered: None,
        first_port: USUAL_PORT,
        now: wanted.now,
    };
    let own = Setup {
        certificates: CertificateSource::Own,
        ..setup.clone()
    };
    let from = if is_given { own } else { setup.clone() };
    let prepared = prepare::prepare_as(from, &request, project, None, &Teller::silent()).await?;
    let mut credentials = Arc::try_unwrap(prepared.gathered)
        .map_err(|_| Error::NoProject(dir.clone()))?
        .credentials;
    if is_given && !dir.join(Layout::CA_CERT).exists() {
        credentials.authority = None;
    }
    let before = roots_of(&files::read("the kit's root", &kit_root(&dir))?.unwrap_or_default());
    let named = match &wanted.given.root {
        Some(path) => roots_of(&files::must_read("the root (--root)", path)?),
        None => before.clone(),
    };
    let mut roots = leading(identity.chain(), &named, wanted);
    let old = leading(present, &before, wanted);
    let stays: Vec<_> = old.into_iter().filter(|one| !roots.contains(one)).collect();
    if let Some(first) = roots.first().filter(|_| !stays.is_empty()) {
        notes.push(format!(
            "clients/NAME/root.crt holds {} now, and still {}, so that undo locks nobody out; the next renewal leaves that \
             away. Hand it out: whoever has only the old one refuses the server from now on",
            printable(first.subject()),
            stays
                .iter()
                .map(|one| printable(one.subject()))
                .collect::<Vec<_>>()
                .join(", ")
        ));
    }
    roots.extend(stays);
    setup.certificates = CertificateSource::Given {
        certificate: dir.join(Layout::ANSWER),
        key: dir.join(Layout::REQUEST_KEY),
        root: dir.join(Layout::ANSWER_ROOT),
    };
    if !wanted.hosts.is_empty() {
        setup.hosts.clone_from(&wanted.hosts);
    }
    let bundle: String = roots.iter().map(Certificate::to_pem).collect();
    let mut artifacts = vec![
        public(Layout::ANSWER, identity.chain_pem(), "the certificate in force"),
        Artifact {
            path: Layout::REQUEST_KEY.into(),
            mode: 0o600,
            content: Content::Secret {
                bytes: Zeroizing::new(identity.key().to_pem().as_bytes().to_vec()),
                description: format!(
                    "{} private key, public key SHA-256 {}",
                    identity.key().algorithm_name(),
                    identity.key().public_fingerprint()
                ),
            },
        },
        public(Layout::ANSWER_ROOT, bundle, "the roots that clients trust"),
    ];
    credentials.server = identity.clone();
    credentials.server_roots = roots;
    artifacts.extend(Plan::beside_a_server(&setup, &credentials, &prepared.found).artifacts);
    let changes = compare_beside(project, &artifacts)?.by("renew");
    if changes.is_empty() {
        return Ok(false);
    }
    apply::write(project, changes, Policy::KeepCopy)?;
    Ok(true)
}

fn public(path: &str, pem: String, what: &str) -> Artifact {
    Artifact {
        path: path.into(),
        mode: 0o644,
        content: Content::Public {
            bytes: pem.into_bytes(),
            description: what.to_owned(),
        },
    }
}

/// The root file of any kit: they are all the same.
fn kit_root(dir: &std::path::Path) -> PathBuf {
    let kits = std::fs::read_dir(dir.join("clients"))
        .into_iter()
        .flatten()
        .flatten();
    kits.map(|kit| kit.path().join("root.crt"))
        .find(|path| path.is_file())
        .unwrap_or_else(|| dir.join(Layout::CA_CERT))
}

fn roots_of(bytes: &[u8]) -> Vec<Certificate> {
    let mut found = Delivery::default();
    match found.add(bytes) {
        Ok(()) => found.certificates,
        Err(_) => Vec::new(),
    }
}

/// Those of the roots that a chain leads to: of a machine's bundle the one that counts.
fn leading(chain: &[Certificate], roots: &[Certificate], wanted: &Rotation) -> Vec<Certificate> {
    let presented: Vec<_> = chain.iter().map(|one| one.der().to_vec().into()).collect();
    // A certificate that has ended was of its CA all the same.
    let at = |leaf: &Certificate| leaf.not_before().max(wanted.now.min(leaf.not_after()));
    let Some(at) = chain.first().map(at) else {
        return Vec::new();
    };
    let leads = |root: &&Certificate| {
        incoming::store(std::slice::from_ref(root))
            .is_ok_and(|store| judge_chain(&presented, &store, Purpose::Server, at).is_ok())
    };
    roots.iter().filter(leads).cloned().collect()
}
