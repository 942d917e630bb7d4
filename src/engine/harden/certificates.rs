//! What becomes of the server's certificate and of the CAs for its clients.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::dial::{
    Address, Judgement, NothingVerified, SslAnswer, TlsSettings, Verified, handshake, open, ssl_request,
};
use crate::engine::{Error, files};
use crate::harden::Stage;
use crate::judge::{Cause, Purpose, TrustStore, judge_chain};
use crate::pki::Certificate;
use crate::plan::Credentials;
use crate::setup::CertificateSource;
use crate::verify::Unloadable;

use super::kit::{Project, as_named, free_name};
use super::survey::tcp_address;
use super::{Survey, lists};

/// A file of the server's, by the name that the server has for it.
pub struct NewFile {
    pub path: PathBuf,
    pub content: Zeroizing<Vec<u8>>,
    pub mode: u32,
    /// What is new in it, where that is neither a certificate nor a key.
    pub adds: Option<String>,
}

/// A certificate that clients may well be verifying, and that another would take the place of.
#[derive(Debug, Clone)]
pub struct Replaced {
    /// Why it should stay, and how.
    pub why: String,
    /// What is replaced by what.
    pub says: String,
}

/// What becomes of the certificates.
pub struct Certificates {
    /// The one in force is good.
    pub keep: bool,
    /// It is known by the project's own root.
    pub own_root: bool,
    /// By what it is known otherwise, as the admin's connection does.
    pub roots: Option<Vec<Certificate>>,
    /// The one in force, where clients may well be verifying it and another takes its place.
    pub replaces: Option<Replaced>,
    /// `ssl_cert_file` and `ssl_key_file`.
    pub pair: Option<(String, String)>,
    /// `ssl_ca_file`.
    pub client_ca: Option<String>,
    /// `ssl_crl_file`, where it is to be set.
    pub client_lists: Option<String>,
    /// What should be known.
    pub notes: Vec<String>,
    /// What has to be put there.
    pub files: Vec<NewFile>,
}

/// Works it out: what is served and holds stays.
pub async fn certificates(stage: Stage, survey: &Survey, project: &Project) -> Result<Certificates, Error> {
    let credentials = &project.gathered.credentials;
    let served = match present(survey) {
        Some(chain) => Some(judged(survey, &credentials.server_roots, chain)),
        None => served(survey, &credentials.server_roots).await?,
    };
    let is_given = matches!(project.setup.certificates, CertificateSource::Given { .. });
    // What is served and holds is kept, unless it is ours and another was made, or another was given.
    let keep = match &served {
        Some((chain, Trust::Project)) => {
            chain[0] == *credentials.server.leaf() && !is_lost(survey, credentials)
        }
        Some((_, Trust::Admin)) => !is_given,
        Some((_, Trust::Nobody)) | None => false,
    };
    let replaces = match &served {
        Some((chain, Trust::Nobody)) if !is_given => verified_elsewhere(chain, survey),
        _ => None,
    }
    .map(|why| Replaced {
        why,
        says: replaced(
            served.as_ref().and_then(|(chain, _)| chain.first()),
            survey,
            credentials.server.leaf(),
        ),
    });
    let mut files = Vec::new();
    let mut put = |name: &str, content: Vec<u8>, mode: u32| {
        let (path, named) = as_named(survey, name);
        files.push(NewFile {
            path,
            content: Zeroizing::new(content),
            mode,
            adds: None,
        });
        named
    };
    let pair = (!keep).then(|| {
        let chain = credentials.server.chain_pem().into_bytes();
        let key = credentials.server.key().to_pem().as_bytes().to_vec();
        let names = pair_names(survey, &chain, &key);
        (put(&names[0], chain, 0o644), put(&names[1], key, 0o600))
    });
    let client_ca = match stage {
        Stage::Ask | Stage::Mtls => client_ca(survey, &credentials.client_roots)?.map(|bundle| {
            let name = free_name(survey, "root.crt", &bundle);
            put(&name, bundle, 0o644)
        }),
        _ => None,
    };
    let mut notes = Vec::new();
    if let (Some((chain, Trust::Nobody)), None) = (&served, &replaces) {
        notes.push(pinned(&chain[0], survey));
    }
    let lists = match stage {
        Stage::Ask | Stage::Mtls => lists::needed(survey, project)?,
        _ => None,
    };
    let mut client_lists = None;
    if let Some(lists) = lists {
        notes.extend(lists.notes);
        client_lists = lists.setting;
        files.extend(lists.file);
    }
    let own_root = !(keep && matches!(&served, Some((_, Trust::Admin))));
    Ok(Certificates {
        client_lists,
        notes,
        own_root,
        roots: (!own_root).then(|| admins_roots(survey)).flatten(),
        keep,
        replaces,
        pair,
        client_ca,
        files,
    })
}

/// Whether the project's pair, which the server serves still, is not in its files any more: the project has it.
fn is_lost(survey: &Survey, credentials: &Credentials) -> bool {
    let pair = &credentials.server;
    let is = |name: &str, wanted: &[u8]| {
        let named = survey.setting(name).map(|file| survey.server.data.join(file));
        named.is_some_and(|path| std::fs::read(survey.map.here(&path)).is_ok_and(|bytes| bytes == wanted))
    };
    survey.reach.is_ok()
        && survey.unloadable.iter().any(Unloadable::is_of_the_pair)
        && !(is("ssl_cert_file", pair.chain_pem().as_bytes())
            && is("ssl_key_file", pair.key().to_pem().as_bytes()))
}

/// Names for both. The pair that the server reads now is never written over: two files cannot change at one instant, the
/// settings that name them can, and a server that is started in between must find a pair.
fn pair_names(survey: &Survey, chain: &[u8], key: &[u8]) -> [String; 2] {
    let named = |base: &str| [format!("{base}.crt"), format!("{base}.key")];
    let plain = named("server");
    if free_name(survey, &plain[0], chain) == plain[0] && free_name(survey, &plain[1], key) == plain[1] {
        return plain;
    }
    let ours = named("pgtls-server");
    let is_in_use = survey
        .setting("ssl_cert_file")
        .is_some_and(|file| survey.server.data.join(file) == survey.map.directory().join(&ours[0]));
    let here = survey.map.here(&survey.map.directory().join(&ours[0]));
    let is_other = std::fs::read(here).is_ok_and(|there| there != chain);
    if is_in_use && is_other {
        return named("pgtls-server-2");
    }
    ours
}

/// By what a served certificate is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// The project's own root.
    Project,
    /// What the admin's connection string names.
    Admin,
    /// By nothing that is known here.
    Nobody,
}

/// What is in the admin's root file; `None` for the machine's own, which every client has.
fn admins_roots(survey: &Survey) -> Option<Vec<Certificate>> {
    /// More than a file holds that somebody made for one server.
    const MOST: usize = 20;
    let root = survey.target.client.root.as_ref().ok()?.as_ref()?;
    let bytes = files::read("the root file", Path::new(&root.from)).ok()??;
    let roots = Certificate::from_pem(&bytes).ok()?;
    (roots.len() <= MOST).then_some(roots)
}

/// Why a certificate that nothing here leads to should stay: somebody's CA issued it, and their clients verify it.
fn verified_elsewhere(chain: &[Certificate], survey: &Survey) -> Option<String> {
    let now = survey.target.now;
    let leaf = chain.first()?;
    let is_valid = leaf.not_before() <= now && now <= leaf.not_after();
    if !is_valid || leaf.is_self_issued() {
        return None;
    }
    let issuer = |one: &Certificate| crate::pki::printable(one.issuer());
    let why = format!(
        "the certificate in force was issued by {}, and clients that verify it would not know the one in its place",
        issuer(leaf)
    );
    let root = &survey.target.trust_file;
    if survey.target.trust.is_empty() {
        return Some(format!(
            "{why}; to keep it add sslrootcert=FILE with that CA's root to the connection string"
        ));
    }
    let presented: Vec<_> = chain.iter().map(|one| one.der().to_vec().into()).collect();
    let cure = match judge_chain(&presented, &survey.target.trust, Purpose::Server, now) {
        Err(refusal) if refusal.cause == Cause::UntrustedIssuer => format!(
            "to keep it: the server sends {}, and {} is not in {root}. If that is an intermediate CA, append its certificate to \
             {}, after the server's own, and reload; else name its root with sslrootcert=FILE",
            match chain.len() {
                1 => "its certificate alone".to_owned(),
                many => format!("{many} certificates"),
            },
            chain.last().map(issuer).unwrap_or_default(),
            survey.setting("ssl_cert_file").unwrap_or("ssl_cert_file")
        ),
        Err(refusal) => format!("to keep it, it must hold by {root}, and it does not: {refusal}"),
        Ok(_) => format!(
            "to keep it, it must carry the name that is dialled, and {} is not among its names: dial one that is",
            crate::pki::printable(&dialled(survey))
        ),
    };
    Some(format!("{why}; {cure}"))
}

/// What takes its place, and what that means.
fn replaced(leaf: Option<&Certificate>, survey: &Survey, by: &Certificate) -> String {
    let Some(leaf) = leaf else {
        return String::new();
    };
    format!(
        "the certificate in force ({}: {}, issued by {}, until {}, SHA-256 {}) is replaced by one that {} issued: clients that \
         verify the former refuse the server, `certificate verify failed`, until they have the kit's root.crt",
        survey.setting("ssl_cert_file").unwrap_or_default(),
        crate::pki::printable(leaf.subject()),
        crate::pki::printable(leaf.issuer()),
        leaf.not_after().date(),
        leaf.fingerprint_sha256(),
        crate::pki::printable(by.issuer())
    )
}

/// What becomes of clients that know a certificate by itself, which nothing here leads to.
fn pinned(leaf: &Certificate, survey: &Survey) -> String {
    let kind = if leaf.is_self_issued() {
        "self-signed"
    } else {
        "not valid now"
    };
    let file = survey.setting("ssl_cert_file").unwrap_or_default();
    format!(
        "the certificate in force ({kind}) is put aside: clients that pin it (their sslrootcert is that very certificate) refuse \
         the new one, `certificate verify failed`, until they have the project's root.crt; those that verify nothing notice nothing. \
         It is {file}: {}, until {}, SHA-256 {}. To keep it, where it carries the name that is dialled and is within its dates, \
         add sslrootcert=FILE with it to the connection string",
        crate::pki::printable(leaf.subject()),
        leaf.not_after().date(),
        leaf.fingerprint_sha256()
    )
}

/// The certificate that would be served: the server has a pair already, which is out of reach, and TLS is off.
fn present(survey: &Survey) -> Option<Vec<Certificate>> {
    if survey.setting("ssl") != Some("off") {
        return None;
    }
    let chain = Certificate::from_pem(survey.pair.as_ref()?).ok()?;
    (!chain.is_empty()).then_some(chain)
}

/// By what a chain that is not served yet would hold.
fn judged(survey: &Survey, roots: &[Certificate], chain: Vec<Certificate>) -> (Vec<Certificate>, Trust) {
    let presented: Vec<_> = chain.iter().map(|one| one.der().to_vec().into()).collect();
    let trust = ways(survey, roots)
        .into_iter()
        .find(|(_, judgement)| judgement.judge(&presented).is_ok())
        .map_or(Trust::Nobody, |(trust, _)| trust);
    (chain, trust)
}

/// The certificate that is served now, and by what it holds: chain, name and dates.
async fn served(survey: &Survey, roots: &[Certificate]) -> Result<Option<(Vec<Certificate>, Trust)>, Error> {
    if survey.setting("ssl") != Some("on") {
        return Ok(None);
    }
    let (ip, port) = tcp_address(survey)?;
    let dialled = dialled(survey);
    for (trust, judgement) in ways(survey, roots) {
        let address = Address::known(&dialled, std::net::SocketAddr::new(ip, port));
        let settings = TlsSettings::new(judgement).with_sni_for(&dialled);
        let deadline = survey.deadline();
        let Ok(mut stream) = open(&address, deadline).await else {
            return Ok(None);
        };
        if !matches!(ssl_request(&mut stream, deadline).await, Ok(SslAnswer::Accepts)) {
            return Ok(None);
        }
        if let Ok(session) = handshake(stream, &settings, deadline).await
            && let Ok(chain) = session
                .facts()
                .presented
                .iter()
                .map(|der| Certificate::from_der(der))
                .collect::<Result<Vec<_>, _>>()
            && !chain.is_empty()
        {
            return Ok(Some((chain, trust)));
        }
    }
    Ok(None)
}

/// What can be said for a certificate, the best first.
fn ways(survey: &Survey, roots: &[Certificate]) -> [(Trust, Arc<dyn Judgement>); 3] {
    let own: Vec<_> = roots.iter().map(|root| root.der().to_vec()).collect();
    let own = TrustStore::new(&own, &[]).map(Arc::new).unwrap_or_default();
    let verified = |store: &Arc<TrustStore>, host: Option<String>| -> Arc<dyn Judgement> {
        Arc::new(Verified {
            trust: Arc::clone(store),
            host,
            now: survey.target.now,
        })
    };
    // By our own root it is the very certificate that counts; the admin's own must carry the name as well.
    [
        (Trust::Project, verified(&own, None)),
        (
            Trust::Admin,
            verified(&survey.target.trust, Some(dialled(survey))),
        ),
        (Trust::Nobody, Arc::new(NothingVerified)),
    ]
}

/// The name that the admin dials; beside a socket that of this machine.
fn dialled(survey: &Survey) -> String {
    match &survey.target.address {
        Address::Tcp { .. } => survey.target.host.clone(),
        Address::Unix(_) => "localhost".to_owned(),
    }
}

/// The CAs for clients: those that the server trusts already, and ours; `None` where it trusts ours.
fn client_ca(survey: &Survey, ours: &[Certificate]) -> Result<Option<Vec<u8>>, Error> {
    let present = survey.setting("ssl_ca_file").filter(|file| !file.is_empty());
    let mut all = Vec::new();
    if let Some(file) = present {
        let wrong = |why: String| Error::File {
            what: "the CAs for clients (ssl_ca_file)",
            path: survey.server.data.join(file),
            why,
            remedy: "mend it first: clients are judged by it".to_owned(),
        };
        let bytes = survey
            .client_ca
            .as_ref()
            .ok_or_else(|| wrong("it cannot be read".to_owned()))?;
        all = Certificate::from_pem(bytes).map_err(|error| wrong(error.to_string()))?;
    }
    if !all.is_empty() && ours.iter().all(|one| all.contains(one)) {
        return Ok(None);
    }
    for one in ours {
        if !all.contains(one) {
            all.push(one.clone());
        }
    }
    Ok(Some(
        all.iter()
            .map(Certificate::to_pem)
            .collect::<String>()
            .into_bytes(),
    ))
}
