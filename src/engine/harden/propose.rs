//! What a stage would change, and whom it would turn away. Nothing is written.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::apply::live::{LiveChange, Wanted};
use crate::conf::hba::shown;
use crate::conf::simulate::{Channel, Connection, Outcome, Simulator, outcome};
use crate::conninfo::{Keyword, SslMode};
use crate::dial::{
    Address, Judgement, NothingVerified, SslAnswer, TlsSettings, Verified, handshake, open, ssl_request,
};
use crate::engine::Error;
use crate::harden::{Draft, Impact, Prevented, Stage, TlsSeen, Watched, Wish, impact, plan, unified};
use crate::judge::TrustStore;
use crate::pki::Certificate;
use crate::setup::CertificateSource;

use super::kit::{self, Project, as_named, free_name};
use super::survey::tcp_address;
use super::{FileDiff, Hardening, Survey, watch};

/// A stage, worked out.
pub struct Proposal {
    /// Which.
    pub stage: Stage,
    /// The files of the server that change, with their differences.
    pub files: Vec<FileDiff>,
    /// Whom it would turn away.
    pub impact: Impact,
    /// What should be known.
    pub notes: Vec<String>,
    /// A certificate that clients may well be verifying, and that another would take the place of: why not to.
    pub replaces: Option<String>,
    pub(super) project: Project,
    pub(super) changes: Vec<LiveChange>,
    /// Text files and certificates by the server's own names, to see that it reads them.
    pub(super) read_back: Vec<(PathBuf, Zeroizing<Vec<u8>>)>,
    pub(super) wanted: Vec<(String, String)>,
    /// Whether the certificate is to be proven by the project's root, or by what the admin's own connection trusts.
    pub(super) own_root: bool,
    /// The certificate that must be served afterwards; `None`: the one that is served now.
    pub(super) leaf: Option<Certificate>,
}

impl Proposal {
    /// Whether the server's files say all of it already.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The project directory.
    #[must_use]
    pub fn project_dir(&self) -> &Path {
        &self.project.dir
    }
}

fn prevented(why: &Prevented) -> Error {
    let remedy = match why {
        Prevented::CommandLine { name, .. } => format!(
            "take `-c {name}=…` (or --{}) out of the way the server is started, restart it, and run this again",
            name.replace('_', "-")
        ),
        Prevented::Broken { .. } => {
            "mend that line first: until then the server takes no change at all, and would not start again"
                .to_owned()
        }
        Prevented::Unreadable { .. } => {
            "run this on the server's machine, as root or as the server's account".to_owned()
        }
        Prevented::Line { .. } | Prevented::NotEnough(_) => {
            "change that by hand, and run this again; nothing was written".to_owned()
        }
    };
    let what = why.to_string();
    match why {
        Prevented::CommandLine { .. } | Prevented::Unreadable { .. } => Error::OutOfReach { what, remedy },
        _ => Error::NotInForce { what, remedy },
    }
}

/// Works a stage out.
pub async fn propose(hardening: &Hardening, survey: &Survey) -> Result<Proposal, Error> {
    if survey.setting("ssl_library").is_some_and(str::is_empty) {
        return Err(Error::OutOfReach {
            what: "this PostgreSQL was built without TLS".to_owned(),
            remedy:
                "install a build with OpenSSL, such as the packages of your distribution or of postgresql.org"
                    .to_owned(),
        });
    }
    let project = kit::project(hardening, survey)?;
    let mut watched = watch::kept(&project.dir)?;
    watched.merge(&survey.watched);
    let certificates = certificates(hardening.stage, survey, &project).await?;
    let wish = Wish {
        stage: hardening.stage,
        pair: certificates.pair,
        client_ca: certificates.client_ca,
        proof: project.proof,
        maps: project.maps(),
        only_tls13: only_tls13(&watched, survey),
    };
    let draft = plan(&survey.server, &wish).map_err(|why| prevented(&why))?;
    let impact = impact(&draft, &wish, &survey.world, &watched).map_err(|why| prevented(&why))?;
    own_way_in(hardening, survey, &draft, &project)?;
    let mut proposal = Proposal {
        stage: hardening.stage,
        files: Vec::new(),
        impact,
        notes: project.gathered.notes.clone(),
        replaces: certificates.replaces,
        wanted: draft.wanted().to_vec(),
        leaf: (!certificates.keep).then(|| project.gathered.credentials.server.leaf().clone()),
        own_root: certificates.own_root,
        read_back: Vec::new(),
        changes: Vec::new(),
        project,
    };
    // New files first: whoever restarts the server in between finds what the settings name.
    for file in certificates.files {
        let here = real(survey, &file.path);
        let before = survey.reach.is_ok().then(|| std::fs::read(&here).ok()).flatten();
        if before.as_deref() != Some(&file.content[..]) {
            let diff = described(&here, &file.content, file.mode);
            proposal.change(survey, file, here, before, diff);
        }
    }
    for (path, old, new) in draft.changes() {
        let here = real(survey, path);
        let diff = format!(
            "--- {0}\n+++ {0}\n{1}",
            shown(here.as_os_str().as_encoded_bytes()),
            unified(old.as_deref().unwrap_or_default(), new)
        );
        let file = NewFile {
            path: path.to_path_buf(),
            content: Zeroizing::new(new.to_vec()),
            mode: 0o600,
        };
        proposal.change(survey, file, here, old, diff);
    }
    if certificates.keep && !proposal.own_root {
        proposal
            .notes
            .push("the certificate in force holds under your own root, and stays".to_owned());
    }
    Ok(proposal)
}

impl Proposal {
    fn change(
        &mut self,
        survey: &Survey,
        file: NewFile,
        here: PathBuf,
        before: Option<Vec<u8>>,
        diff: String,
    ) {
        self.files.push(FileDiff {
            path: here.clone(),
            is_new: before.is_none(),
            diff,
        });
        self.read_back.push((file.path, file.content.clone()));
        self.changes.push(LiveChange {
            path: here,
            before: before.map(Zeroizing::new),
            after: Some(Wanted {
                content: file.content,
                mode: file.mode,
                owner: rustix::process::geteuid().is_root().then_some(survey.account),
            }),
        });
    }
}

/// A file of the server's, by the name that the server has for it.
struct NewFile {
    path: PathBuf,
    content: Zeroizing<Vec<u8>>,
    mode: u32,
}

/// What becomes of the certificates.
struct Certificates {
    /// The one in force is good.
    keep: bool,
    /// It is known by the project's own root.
    own_root: bool,
    /// Why the one in force should not be replaced.
    replaces: Option<String>,
    pair: Option<(String, String)>,
    client_ca: Option<String>,
    files: Vec<NewFile>,
}

async fn certificates(stage: Stage, survey: &Survey, project: &Project) -> Result<Certificates, Error> {
    let credentials = &project.gathered.credentials;
    let served = served(survey, &credentials.server_roots).await?;
    let is_given = matches!(project.setup.certificates, CertificateSource::Given { .. });
    // What is served and holds is kept, unless it is ours and another was made, or another was given.
    let keep = match &served {
        Some((leaf, Trust::Project)) => leaf == credentials.server.leaf(),
        Some((_, Trust::Admin)) => !is_given,
        Some((_, Trust::Nobody)) | None => false,
    };
    let replaces = match &served {
        Some((leaf, Trust::Nobody)) if !is_given => verified_elsewhere(leaf, survey),
        _ => None,
    };
    let mut files = Vec::new();
    let mut put = |name: &str, content: Vec<u8>, mode: u32| {
        let (path, named) = as_named(survey, name);
        files.push(NewFile {
            path,
            content: Zeroizing::new(content),
            mode,
        });
        named
    };
    let pair = (!keep).then(|| {
        let chain = credentials.server.chain_pem().into_bytes();
        let key = credentials.server.key().to_pem().as_bytes().to_vec();
        let names = ["server.crt", "server.key"].map(|name| {
            let content = if name == "server.crt" { &chain } else { &key };
            free_name(survey, name, content)
        });
        // Both under plain names, or neither.
        let names = if names[0] == "server.crt" && names[1] == "server.key" {
            names
        } else {
            ["pgtls-server.crt", "pgtls-server.key"].map(str::to_owned)
        };
        (put(&names[0], chain, 0o644), put(&names[1], key, 0o600))
    });
    let client_ca = match stage {
        Stage::Mtls => client_ca(survey, &credentials.client_roots)?.map(|bundle| {
            let name = free_name(survey, "root.crt", &bundle);
            put(&name, bundle, 0o644)
        }),
        _ => None,
    };
    Ok(Certificates {
        own_root: !(keep && matches!(&served, Some((_, Trust::Admin)))),
        keep,
        replaces,
        pair,
        client_ca,
        files,
    })
}

/// The file itself, where the name is a link; out of reach it is the name that counts.
fn real(survey: &Survey, path: &Path) -> PathBuf {
    if survey.reach.is_err() {
        return path.to_path_buf();
    }
    let here = survey.map.here(path);
    here.canonicalize()
        .unwrap_or_else(|_| crate::engine::absolute(&here))
}

/// A certificate or key in a line.
fn described(path: &Path, content: &[u8], mode: u32) -> String {
    let name = shown(path.as_os_str().as_encoded_bytes());
    let mut out = format!("--- /dev/null\n+++ {name} ({mode:04o})\n");
    match Certificate::from_pem(content) {
        Ok(chain) => {
            for one in chain {
                let _ = writeln!(
                    out,
                    "+certificate {}, until {}, SHA-256 {}",
                    crate::pki::printable(one.subject()),
                    one.not_after().date(),
                    one.fingerprint_sha256()
                );
            }
        }
        Err(_) => out.push_str("+private key\n"),
    }
    out
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

/// Why a certificate that nothing here leads to should stay: somebody's CA issued it, and their clients verify it.
fn verified_elsewhere(leaf: &Certificate, survey: &Survey) -> Option<String> {
    let now = survey.target.now;
    let is_valid = leaf.not_before() <= now && now <= leaf.not_after();
    (is_valid && !leaf.is_self_issued()).then(|| {
        format!(
            "the certificate in force was issued by {}, and clients that verify it would not know the one in its place; to keep it \
             add sslrootcert=FILE with that CA's root to the connection string",
            crate::pki::printable(leaf.issuer())
        )
    })
}

/// The certificate that is served now, and by what it holds: chain, name and dates.
async fn served(survey: &Survey, roots: &[Certificate]) -> Result<Option<(Certificate, Trust)>, Error> {
    if survey.setting("ssl") != Some("on") {
        return Ok(None);
    }
    let own: Vec<_> = roots.iter().map(|root| root.der().to_vec()).collect();
    let own = TrustStore::new(&own, &[]).map(Arc::new).unwrap_or_default();
    let (ip, port) = tcp_address(survey)?;
    let dialled = match &survey.target.address {
        Address::Tcp { .. } => survey.target.host.clone(),
        Address::Unix(_) => "localhost".to_owned(),
    };
    let verified = |store: &Arc<TrustStore>, host: Option<String>| -> Arc<dyn Judgement> {
        Arc::new(Verified {
            trust: Arc::clone(store),
            host,
            now: survey.target.now,
        })
    };
    // By our own root it is the very certificate that counts; the admin's own must carry the name as well.
    for (trust, judgement) in [
        (Trust::Project, verified(&own, None)),
        (
            Trust::Admin,
            verified(&survey.target.trust, Some(dialled.clone())),
        ),
        (Trust::Nobody, Arc::new(NothingVerified)),
    ] {
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
            && let Some(leaf) = session.facts().presented.first()
            && let Ok(leaf) = Certificate::from_der(leaf)
        {
            return Ok(Some((leaf, trust)));
        }
    }
    Ok(None)
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

/// Whether TLS 1.2 can be turned away: somebody was seen, and everybody speaks 1.3.
fn only_tls13(watched: &Watched, survey: &Survey) -> bool {
    let spoken: Vec<&TlsSeen> = watched
        .iter()
        .filter_map(|(seen, _)| seen.tls.as_ref())
        .chain(&survey.own.tls)
        .collect();
    !spoken.is_empty() && spoken.iter().all(|tls| tls.version == "TLSv1.3")
}

/// The admin must come in again under the new rules, as they came in now or with TLS.
fn own_way_in(
    hardening: &Hardening,
    survey: &Survey,
    draft: &Draft<'_>,
    project: &Project,
) -> Result<(), Error> {
    let Some(ip) = survey.own.address else {
        return Ok(());
    };
    let rules = draft.rules().map_err(|why| prevented(&why))?;
    let world = crate::conf::simulate::World {
        maps: Some(draft.maps().map_err(|why| prevented(&why))?),
        ..survey.world.clone()
    };
    let simulator = Simulator::new(rules.rules(), &world);
    let cn = match hardening.stage {
        Stage::Mtls if hardening.conninfo.get(Keyword::Sslcert).is_none() => {
            project.kit_of(&survey.own.user).and_then(|kit| kit.cn.clone())
        }
        Stage::Mtls => survey
            .own
            .tls
            .as_ref()
            .and_then(|tls| tls.cn.clone())
            .or_else(|| Some(survey.own.user.clone())),
        _ => survey.own.tls.as_ref().and_then(|tls| tls.cn.clone()),
    };
    let comes = |channel: Channel| {
        let connection = Connection {
            channel,
            ..survey.own.connection()
        };
        let decision = simulator.decide(&connection);
        let record = decision.record.map(|at| {
            let rule = &simulator.rules()[at];
            format!("{}: {}", rule.place, rule.record)
        });
        match outcome(simulator.rules(), &decision, &connection, &world) {
            Outcome::Refused(_) => Err(record),
            _ => Ok(()),
        }
    };
    let sslmode = survey.target.client.sslmode;
    let with = || comes(Channel::Tls(ip, cn.clone()));
    let without = || comes(Channel::Plain(ip));
    let fate = match sslmode {
        SslMode::Disable => without(),
        SslMode::Allow | SslMode::Prefer => with().or_else(|refused| without().map_err(|_| refused)),
        _ => with(),
    };
    let Err(line) = fate else { return Ok(()) };
    let line = line.map(|line| format!(" by {line}")).unwrap_or_default();
    Err(Error::NotInForce {
        what: format!(
            "your own way in would be closed: {} from {ip} would be refused{line}",
            crate::pki::printable(&survey.own.user)
        ),
        remedy: if sslmode == SslMode::Disable {
            "log in without sslmode=disable, and see that it works; nothing was written".to_owned()
        } else {
            "give the admin a line of its own above that one, or log in over the server's socket; nothing was written"
                .to_owned()
        },
    })
}
