//! New certificates for a running server of a person's own: checked, changed at one instant, read again, seen served, and
//! taken back where they are not. Sessions that are open stay open.

use std::path::{Path, PathBuf};
use std::time::Duration;

use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::apply::{self, Elsewhere, Locked, Project, UndoneFile};
use crate::conninfo::{Conninfo, Environment};
use crate::judge::{Purpose, TrustStore, judge_chain};
use crate::pki::{Certificate, HostName, Identity, PrivateKey};
use crate::plan::Layout;

use super::incoming::{self, Against};
use super::{Error, Existing, Given, Means, Note, Stage, Step, Teller, files, prepare, revocation};

/// What is wanted.
#[derive(Debug)]
pub struct Rotation {
    /// Where the journal is, and what pgtls knows of clients.
    pub dir: PathBuf,
    /// How the server is reached; `None`: as the last time.
    pub conninfo: Option<Conninfo>,
    /// Where its files are; `None`: as the last time.
    pub config_dir: Option<PathBuf>,
    /// Where the certificate comes from.
    pub given: Given,
    /// A pair that was issued here, instead.
    pub issued: Option<Issued>,
    /// A revocation list to put in force.
    pub list: Option<PathBuf>,
    /// Names that the certificate must carry, instead of those of the present one.
    pub hosts: Vec<HostName>,
    /// How long the server may take.
    pub timeout: Duration,
    /// The time.
    pub now: OffsetDateTime,
}

/// What the project's own CA issued; its files are written there already, as the last write.
#[derive(Debug)]
pub struct Issued {
    /// The server's pair.
    pub identity: Identity,
    /// The CAs whose clients the server accepts; empty: none.
    pub client_roots: Vec<Certificate>,
    /// Whether the project's files were changed for it.
    pub written: bool,
    /// A client of the newest CA, by which the server is seen to trust it.
    pub newcomer: Option<Identity>,
    /// The stage of a new CA that this is.
    pub stage: Option<Stage>,
}

/// What came of it.
#[derive(Debug)]
pub struct Rotated {
    /// The project directory, absolute.
    pub dir: PathBuf,
    /// The server.
    pub host: String,
    /// The files that changed, absolute.
    pub files: Vec<PathBuf>,
    /// The certificate that is served now.
    pub certificate: Certificate,
    /// What a person should know; sentences.
    pub notes: Vec<String>,
}

/// The server's present pair.
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
    chain: Vec<Certificate>,
}

/// Puts what is given in force, and proves it.
pub async fn rotate(wanted: Rotation, tell: &Teller) -> Result<Rotated, Error> {
    if wanted.dir.exists() {
        // A stage that waits to be confirmed is in the way.
        super::harden::settle(&wanted.dir, tell)?;
    }
    let project = Project::create(&wanted.dir)?;
    if let Some(recovery) = project.recovery() {
        tell.notice(recovered(recovery));
    }
    let (conninfo, config_dir) = place(&wanted, &project)?;
    let means = means(&wanted.dir, wanted.timeout, wanted.now);
    let kept = conninfo.to_keyword_value();
    let mut live = Existing::enter(conninfo, &Environment::current(), &means, &config_dir).await?;
    let done = with(&wanted, &project, &mut live, &kept, tell).await;
    live.close().await;
    done
}

/// [`rotate`] after the project's own files were written for it: where it fails they go back too.
pub async fn rotate_issued(wanted: Rotation, tell: &Teller) -> Result<Rotated, Error> {
    let dir = wanted.dir.clone();
    let written = wanted.issued.as_ref().is_some_and(|issued| issued.written);
    match Box::pin(rotate(wanted, tell)).await {
        // What was changed and did not hold has been taken back already.
        Err(error) if written && !matches!(error, Error::NotInForce { .. }) => {
            apply::undo(&Project::open(&dir)?)?;
            Err(error)
        }
        done => done,
    }
}

async fn with(
    wanted: &Rotation,
    project: &Locked,
    live: &mut Existing,
    conninfo: &str,
    tell: &Teller,
) -> Result<Rotated, Error> {
    let step = tell.begin(Step::Certificates);
    let pair = present(live).await?;
    let served = live.presented().await?;
    if served.first() != pair.chain.first() {
        tell.notice("the server does not serve the certificate on its disk: an earlier reload failed, or there was none");
    }
    let mut notes = Vec::new();
    let mut changes = Vec::new();
    let identity = identity(wanted, live, &pair, &served, &mut notes)?;
    if let Some(identity) = &identity {
        changes.extend(pair_files(&pair, identity)?);
    }
    if let Some(issued) = &wanted.issued
        && let Some(path) = live.file("ssl_ca_file")
        && !issued.client_roots.is_empty()
    {
        let pem: String = issued.client_roots.iter().map(Certificate::to_pem).collect();
        changes.push(public(path, pem));
    }
    if let Some(issued) = &wanted.issued {
        former_is_in_force(issued, live, served.first()).await?;
    }
    let list = match &wanted.list {
        Some(path) => Some(revocation::incoming(path, live, wanted.now, &mut notes)?),
        None => None,
    };
    changes.extend(list.iter().flat_map(revocation::Incoming::files));
    step.done(match &identity {
        Some(identity) => format!(
            "checked: key, chain, names and dates of serial {}",
            identity.leaf().serial_hex()
        ),
        None => "checked: issuer, signature and dates of the revocation list".to_owned(),
    });
    let expected = match (&identity, served.first()) {
        (Some(identity), _) => identity.leaf().clone(),
        (None, Some(leaf)) => leaf.clone(),
        (None, None) => return Err(not_in_reach("the certificate that is served")),
    };
    let step = tell.begin(Step::Write);
    let note = Note {
        conninfo: conninfo.to_owned(),
        config_dir: live.config_dir.clone(),
        with_previous: wanted.issued.as_ref().is_some_and(|issued| issued.written),
    };
    let files = apply::switch(project, changes, &note.to_text())?;
    step.done(match files.len() {
        0 => "every file is as it should be".to_owned(),
        1 => "1 file changed".to_owned(),
        n => format!("{n} files changed, at one instant"),
    });
    let is_as_it_was = files.is_empty() && served.first() == Some(&expected);
    if is_as_it_was {
        tell.notice("it is in force already: nothing was reloaded");
    } else if let Err(why) = prove(live, &expected, list.as_ref(), wanted.issued.as_ref(), tell).await {
        return Err(go_back(project, live, &note, served.first(), !files.is_empty(), why).await);
    }
    Ok(Rotated {
        dir: prepare::absolute(&wanted.dir),
        host: live.host().to_owned(),
        files,
        certificate: expected,
        notes,
    })
}

/// A stage of a new CA comes only once the one before it is in force on the server.
async fn former_is_in_force(
    issued: &Issued,
    live: &Existing,
    served: Option<&Certificate>,
) -> Result<(), Error> {
    let refuse = |what: String| {
        Err(Error::DoesNotFit {
            what,
            remedy: "put the stage before in force on this server first".to_owned(),
        })
    };
    match (issued.stage, &issued.newcomer) {
        (Some(Stage::Issue), Some(newcomer)) if live.setting("ssl_ca_file").is_some() => {
            match live.accepts(newcomer).await {
                Ok(()) => Ok(()),
                Err(why) => refuse(format!("{} does not trust the new CA yet: {why}", live.host())),
            }
        }
        (Some(Stage::Withdraw), _) if served != Some(issued.identity.leaf()) => refuse(format!(
            "{} does not serve the new CA's certificate yet",
            live.host()
        )),
        _ => Ok(()),
    }
}

/// Where the server is and where its files are: as said, else as at the last change.
fn place(wanted: &Rotation, project: &Locked) -> Result<(Conninfo, PathBuf), Error> {
    let last = apply::notes(project)?
        .iter()
        .find_map(|text| Note::from_text(text));
    let conninfo = match (&wanted.conninfo, &last) {
        (Some(conninfo), _) => conninfo.clone(),
        (None, Some(last)) => Conninfo::parse(&last.conninfo)?,
        (None, None) => {
            return Err(Error::DoesNotFit {
                what: "which server it is for is not known here".to_owned(),
                remedy: "name it: pgtls renew CONNINFO --config-dir DIR".to_owned(),
            });
        }
    };
    let config_dir = wanted.config_dir.clone().or(last.map(|last| last.config_dir));
    let config_dir = config_dir.ok_or_else(|| Error::DoesNotFit {
        what: "where the server's files are is not known here".to_owned(),
        remedy: "name the directory with its postgresql.conf: --config-dir DIR".to_owned(),
    })?;
    Ok((conninfo, config_dir))
}

fn means(dir: &Path, timeout: Duration, now: OffsetDateTime) -> Means {
    Means {
        expect: None,
        other: None,
        dir: dir.to_owned(),
        key_passphrase: None,
        admin: None,
        timeout,
        now,
    }
}

fn not_in_reach(what: &str) -> Error {
    Error::DoesNotFit {
        what: format!("{what} is not within reach here"),
        remedy: "run this on the server's machine, as root or as the server's account, with --config-dir naming the directory of \
                 its files"
            .to_owned(),
    }
}

/// The pair that the server reads, which must be this server's own.
async fn present(live: &mut Existing) -> Result<Pair, Error> {
    if live.setting("ssl") != Some("on") {
        return Err(Error::DoesNotFit {
            what: format!("TLS is off on {}: there is no certificate to renew", live.host()),
            remedy: "turn it on first: `pgtls harden` does so step by step".to_owned(),
        });
    }
    let certificate = own(live, "ssl_cert_file", "the certificate (ssl_cert_file)")?;
    let key = own(live, "ssl_key_file", "the key (ssl_key_file)")?;
    let bytes = files::must_read("the server's certificate (ssl_cert_file)", &certificate)?;
    let chain = Certificate::from_pem(&bytes).unwrap_or_default();
    // Somebody else's directory must not be taken for this server's.
    let served = live.presented().await?;
    if served.first() != chain.first() && live.reads("ssl_cert_file").await.as_deref() != Some(&**bytes) {
        return Err(Error::DoesNotFit {
            what: format!(
                "{} is not the certificate of the server at {}: it serves another",
                certificate.display(),
                live.host()
            ),
            remedy: "name that server's own directory with --config-dir; where it serves an old certificate because a reload \
                     failed, log in as superuser, so that its files can be compared"
                .to_owned(),
        });
    }
    Ok(Pair {
        certificate,
        key,
        chain,
    })
}

/// The file that a setting names, unless others use it too.
fn own(live: &Existing, setting: &str, what: &'static str) -> Result<PathBuf, Error> {
    let path = live.file(setting).ok_or_else(|| not_in_reach(what))?;
    let others = |why: String| Error::File {
        what,
        path: path.clone(),
        why,
        remedy: format!("give the server a file of its own (set {setting}), then renew that"),
    };
    if path.symlink_metadata().is_ok_and(|meta| meta.is_symlink()) {
        let target = path.read_link().unwrap_or_default();
        return Err(others(format!(
            "it is a link to {}: another tool keeps it, and changes it there",
            target.display()
        )));
    }
    if path
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("ssl-cert-snakeoil."))
    {
        return Err(others(
            "it is this machine's snakeoil pair, which other programs use too".to_owned(),
        ));
    }
    Ok(path)
}

/// The checked pair, where one is wanted.
fn identity(
    wanted: &Rotation,
    live: &Existing,
    pair: &Pair,
    served: &[Certificate],
    notes: &mut Vec<String>,
) -> Result<Option<Identity>, Error> {
    if let Some(issued) = &wanted.issued {
        return Ok(Some(issued.identity.clone()));
    }
    let given = &wanted.given;
    if given.certificate.is_none() && given.from.is_none() && given.said.is_none() {
        return Ok(None);
    }
    let names = names(wanted, served.first().or(pair.chain.first()))?;
    let present = if pair.chain.is_empty() {
        served
    } else {
        &pair.chain
    };
    let checked = incoming::check(
        given,
        Against {
            purpose: Purpose::Server,
            keys: keys(wanted, pair),
            names: &names,
            trust: trust(wanted, live, present),
            present,
            now: wanted.now,
        },
    )?;
    notes.extend(checked.notes);
    let end = checked.identity.leaf().not_after();
    if let Some(present) = pair.chain.first().filter(|present| present.not_after() > end) {
        notes.push(format!(
            "it ends on {}, before the one that it replaces ({})",
            end.date(),
            present.not_after().date()
        ));
    }
    Ok(Some(checked.identity))
}

/// Which names must be carried: those said, else the project's, else those of the present certificate.
fn names(wanted: &Rotation, present: Option<&Certificate>) -> Result<Vec<String>, Error> {
    let dialled = |hosts: &[HostName]| -> Vec<String> {
        let hosts = hosts.iter().filter(|host| !host.is_wildcard());
        hosts.map(ToString::to_string).collect()
    };
    if !wanted.hosts.is_empty() {
        return Ok(dialled(&wanted.hosts));
    }
    match prepare::project(&wanted.dir) {
        Ok(setup) => return Ok(dialled(&setup.hosts)),
        Err(Error::NoProject(_)) => {}
        Err(error) => return Err(error),
    }
    let Some(present) = present else {
        return Ok(Vec::new());
    };
    let names = present
        .dns_names()
        .iter()
        .filter(|name| !name.starts_with('*'))
        .cloned();
    Ok(names
        .chain(present.ip_addresses().iter().map(ToString::to_string))
        .collect())
}

/// Keys that the certificate may be for: that of the request, and the present one.
fn keys(wanted: &Rotation, pair: &Pair) -> Vec<(String, PrivateKey)> {
    let request = wanted.dir.join(Layout::REQUEST_KEY);
    [
        (&request, "the key of the request"),
        (&pair.key, "the present key"),
    ]
    .into_iter()
    .filter_map(|(path, name)| {
        let bytes = files::read("the key", path).ok().flatten()?;
        let key = PrivateKey::from_pem(&bytes, wanted.given.passphrase.as_ref()).ok()?;
        Some((format!("{name} ({})", path.display()), key))
    })
    .collect()
}

/// What clients trust, as far as it is known: the project's kits, else what the connection string judges by, else the CA of
/// the clients where the present certificate is of that one too.
fn trust(wanted: &Rotation, live: &Existing, present: &[Certificate]) -> Option<(TrustStore, String)> {
    let kit = || {
        let kits = std::fs::read_dir(wanted.dir.join("clients")).ok()?;
        let path = kits
            .flatten()
            .map(|kit| kit.path().join("root.crt"))
            .find(|path| path.is_file())?;
        let bytes = files::read("the kit's root", &path).ok().flatten()?;
        let roots = Certificate::from_pem(&bytes).ok()?;
        Some((incoming::store(&roots).ok()?, path.display().to_string()))
    };
    let target = live.target();
    let conninfo =
        || (!target.trust.is_empty()).then(|| (TrustStore::clone(&target.trust), target.trust_file.clone()));
    // The CA of the clients is often that of the server too.
    let same = || {
        let path = live.file("ssl_ca_file")?;
        let bytes = files::read("the CAs of the clients", &path).ok().flatten()?;
        let store = incoming::store(&Certificate::from_pem(&bytes).ok()?).ok()?;
        let presented: Vec<_> = present.iter().map(|one| one.der().to_vec().into()).collect();
        let at = present
            .first()?
            .not_before()
            .max(wanted.now.min(present.first()?.not_after()));
        judge_chain(&presented, &store, Purpose::Server, at).ok()?;
        Some((
            store,
            format!("{}, which the present certificate leads to", path.display()),
        ))
    };
    kit().or_else(conninfo).or_else(same)
}

fn public(path: PathBuf, pem: String) -> Elsewhere {
    Elsewhere {
        path,
        bytes: Zeroizing::new(pem.into_bytes()),
        mode: None,
    }
}

/// The new pair in the place of the present one. The key keeps its mode, as far as PostgreSQL takes it
/// (<https://www.postgresql.org/docs/current/ssl-tcp.html#SSL-SETUP>).
fn pair_files(pair: &Pair, identity: &Identity) -> Result<[Elsewhere; 2], Error> {
    use std::os::unix::fs::MetadataExt;
    let mode = match std::fs::metadata(&pair.key) {
        Ok(meta) => {
            let allowed = if meta.uid() == 0 { 0o640 } else { 0o600 };
            Some(meta.mode() & allowed)
                .filter(|mode| mode & 0o400 != 0)
                .unwrap_or(0o600)
        }
        Err(error) => {
            return Err(Error::File {
                what: "the key (ssl_key_file)",
                path: pair.key.clone(),
                why: crate::server::words(&error),
                remedy: "run as root or as the server's account".to_owned(),
            });
        }
    };
    Ok([
        public(pair.certificate.clone(), identity.chain_pem()),
        Elsewhere {
            path: pair.key.clone(),
            bytes: Zeroizing::new(identity.key().to_pem().as_bytes().to_vec()),
            mode: Some(mode),
        },
    ])
}

/// Has the server read its files, and looks whether it did.
async fn prove(
    live: &mut Existing,
    expected: &Certificate,
    list: Option<&revocation::Incoming>,
    issued: Option<&Issued>,
    tell: &Teller,
) -> Result<(), String> {
    let step = tell.begin(Step::Reload);
    let log = live.log().await;
    live.reload().await.map_err(|error| error.to_string())?;
    step.done("the server was asked to read its files again");
    let step = tell.begin(Step::Verify);
    let served = live.serves(expected).await.map_err(|error| error.to_string())?;
    if let Some(complaint) = live.complaint(log).await {
        return Err(format!("it complained: {}", complaint.says));
    }
    if !served {
        return Err(
            "it still serves another certificate: its log says why (\"SSL configuration was not reloaded\")"
                .to_owned(),
        );
    }
    if let Some(list) = list {
        live.look_again().await.map_err(|error| error.to_string())?;
        list.is_in_force(live)?;
    }
    if let Some(newcomer) = issued.and_then(|issued| issued.newcomer.as_ref())
        && live.setting("ssl_ca_file").is_some()
    {
        live.accepts(newcomer)
            .await
            .map_err(|why| format!("it does not accept the CA's clients: {why}"))?;
    }
    live.admits()
        .await
        .map_err(|why| format!("a new login is refused now: {why}"))?;
    step.done("the new certificate is served, and a new login succeeds");
    Ok(())
}

/// Takes the change back, and sees that too.
async fn go_back(
    project: &Locked,
    live: &mut Existing,
    note: &Note,
    before: Option<&Certificate>,
    changed: bool,
    why: String,
) -> Error {
    let what = format!("the server did not take its new files: {why}");
    if !changed {
        return Error::NotInForce {
            what,
            remedy: "nothing was changed by this run; look at the server's log".to_owned(),
        };
    }
    let back = async {
        apply::undo(project)?;
        if note.with_previous {
            apply::undo(project)?;
        }
        live.reload().await?;
        match before {
            Some(before) => live.serves(before).await,
            None => Ok(true),
        }
    };
    match back.await {
        Ok(true) => Error::NotInForce {
            what: format!("{what}. Its files are as they were before, and it serves what it served"),
            remedy: "look at the server's log for the reason, mend it, then renew again".to_owned(),
        },
        Ok(false) => Error::NotInForce {
            what: format!("{what}. Its files are as they were before; what it serves now is something else"),
            remedy: "look at the server's log, then reload it".to_owned(),
        },
        Err(error) => Error::NotInForce {
            what: format!("{what}. Going back failed too: {error}"),
            remedy: format!(
                "mend that, then run `pgtls undo --dir {}`",
                project.dir().display()
            ),
        },
    }
}

/// Takes back the last change of files elsewhere, and has the server read them again. `None` where the last write was none.
pub async fn take_back(project: &Locked, dir: &Path, tell: &Teller) -> Result<Option<apply::Undone>, Error> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let Some(note) = apply::last_note(project)?.and_then(|text| Note::from_text(&text)) else {
        return Ok(None);
    };
    let means = means(dir, PATIENCE, OffsetDateTime::now_utc());
    let live = match Conninfo::parse(&note.conninfo) {
        Ok(conninfo) => Existing::enter(conninfo, &Environment::current(), &means, &note.config_dir).await,
        Err(error) => Err(error.into()),
    };
    let mut undone = apply::undo(project)?;
    if note.with_previous {
        let before = apply::undo(project)?;
        undone.files.extend(before.files);
        undone.kept.extend(before.kept);
        undone.remaining = before.remaining;
    }
    match live {
        Err(error) => tell.notice(format!(
            "the files are restored, but the server could not be asked to read them ({error}): reload it"
        )),
        Ok(mut live) => {
            if let Err(why) = follow(&mut live, &undone.files).await {
                tell.notice(format!(
                    "the files are restored, but the server does not follow: {why}"
                ));
            } else {
                tell.notice("the running server has read the restored files");
            }
            live.close().await;
        }
    }
    Ok(Some(undone))
}

async fn follow(live: &mut Existing, files: &[UndoneFile]) -> Result<(), String> {
    live.reload().await.map_err(|error| error.to_string())?;
    let Some(path) = live
        .file("ssl_cert_file")
        .filter(|path| files.iter().any(|file| file.path == *path))
    else {
        return Ok(());
    };
    let bytes = files::must_read("the certificate", &path).map_err(|error| error.to_string())?;
    let leaf = Certificate::from_pem(&bytes)
        .ok()
        .and_then(|chain| chain.into_iter().next());
    let Some(leaf) = leaf else {
        return Err(format!("{} holds no certificate", path.display()));
    };
    match live.serves(&leaf).await {
        Ok(true) => Ok(()),
        Ok(false) => Err("it still serves another certificate".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn recovered(recovery: &apply::Recovery) -> String {
    match recovery {
        apply::Recovery::Finished { .. } => "finished a write that an earlier run was killed in".to_owned(),
        apply::Recovery::TakenBack { .. } => "took back a write that an earlier run was killed in".to_owned(),
    }
}
