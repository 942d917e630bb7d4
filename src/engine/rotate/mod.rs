//! New certificates for a running server of a person's own: checked, changed at one instant, read again, seen served, and
//! taken back where they are not. Sessions that are open stay open.

mod back;
mod follow;
mod pair;

use std::path::{Path, PathBuf};
use std::time::Duration;

use time::OffsetDateTime;

use crate::apply::live::Live;
use crate::apply::{self, Elsewhere, Locked, Project};
use crate::conninfo::{Conninfo, Environment};
use crate::pki::{Certificate, HostName, Identity};
use crate::plan::Layout;
use crate::setup::CertificateSource;
use crate::verify::{UNLOCK, locked};

use super::{Error, Existing, Given, Means, Note, Stage, Step, Teller, files, prepare, revocation};
use back::go_back;
use follow::follow;
use pair::{Pair, identity, not_in_reach, pair_files, present, public};

pub use back::take_back;

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
    /// Those of the project's that it accepts no longer.
    pub withdrawn: Vec<Certificate>,
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
    let (conninfo, config_dir) = place(
        &wanted.dir,
        wanted.conninfo.as_ref(),
        wanted.config_dir.as_deref(),
        &project,
    )?;
    let means = means(&wanted.dir, wanted.timeout, wanted.now);
    let kept = conninfo.to_keyword_value();
    let mut live = Existing::enter(conninfo, &Environment::current(), &means, config_dir.as_deref()).await?;
    let places = live.places();
    super::harden::nobody_else(
        &wanted.dir,
        &places.iter().map(PathBuf::as_path).collect::<Vec<_>>(),
    )?;
    let done = with(&wanted, &project, &mut live, &kept, tell).await;
    live.close().await;
    done
}

/// [`rotate`] after the project's own files were written for it: where it fails they go back too.
pub async fn rotate_issued(wanted: Rotation, tell: &Teller) -> Result<Rotated, Error> {
    let (dir, told) = (wanted.dir.clone(), tell.clone());
    let written = wanted.issued.as_ref().is_some_and(|issued| issued.written);
    match Box::pin(rotate(wanted, tell)).await {
        // What was changed and did not hold has been taken back already.
        Err(error) if written && !matches!(error, Error::NotInForce { .. }) => {
            apply::undo(&Project::open(&dir)?)?;
            told.notice("what was written to the kit for it is taken back");
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
    key_opens(live, &pair, identity.as_ref(), &mut notes)?;
    if let Some(identity) = &identity {
        changes.extend(pair_files(&pair, identity)?);
    }
    if let Some(issued) = &wanted.issued
        && let Some(path) = live.file("ssl_ca_file")
        && !issued.client_roots.is_empty()
    {
        changes.extend(client_cas(issued, path)?);
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
    let followed = match &identity {
        Some(identity) => {
            let present = if pair.chain.is_empty() {
                &served
            } else {
                &pair.chain
            };
            Box::pin(follow(wanted, project, identity, present, &mut notes)).await?
        }
        None => false,
    };
    let note = Note {
        conninfo: conninfo.to_owned(),
        config_dir: live.config_dir.clone(),
        with_previous: followed || wanted.issued.as_ref().is_some_and(|issued| issued.written),
    };
    let written = match apply::switch(project, changes, &note.to_text()) {
        Ok(written) => written,
        Err(error) => {
            if followed {
                apply::undo(project)?;
            }
            return Err(error.into());
        }
    };
    step.done(match written.len() {
        0 => "every file is as it should be".to_owned(),
        1 => "1 file changed".to_owned(),
        n => format!("{n} files changed, at one instant"),
    });
    let is_as_it_was = written.is_empty() && served.first() == Some(&expected);
    if is_as_it_was {
        tell.notice("it is in force already: nothing was reloaded");
    } else if let Err(why) = prove(live, &expected, list.as_ref(), wanted.issued.as_ref(), tell).await {
        return Err(go_back(project, live, &note, served.first(), !written.is_empty(), why).await);
    }
    Ok(Rotated {
        dir: prepare::absolute(&wanted.dir),
        host: live.host().to_owned(),
        files: written,
        certificate: expected,
        notes,
    })
}

/// The CAs of the clients: those that the server trusts beside the project's stay.
fn client_cas(issued: &Issued, path: PathBuf) -> Result<Option<Elsewhere>, Error> {
    let bytes = files::must_read("the CAs of the clients (ssl_ca_file)", &path)?;
    let present = Certificate::from_pem(&bytes).map_err(|error| Error::File {
        what: "the CAs of the clients (ssl_ca_file)",
        path: path.clone(),
        why: error.to_string(),
        remedy: "mend it first: clients are judged by it".to_owned(),
    })?;
    let stay = present.iter().filter(|one| !issued.withdrawn.contains(one));
    let mut all: Vec<_> = stay.cloned().collect();
    for one in &issued.client_roots {
        if !all.contains(one) {
            all.push(one.clone());
        }
    }
    let pem = || all.iter().map(Certificate::to_pem).collect();
    Ok((all != present).then(|| public(path, pem())))
}

/// Whether a reload can load what is given: an encrypted key that stays has to be opened for it.
fn key_opens(
    live: &Existing,
    pair: &Pair,
    identity: Option<&Identity>,
    notes: &mut Vec<String>,
) -> Result<(), Error> {
    let key = pair.key.display();
    let supports_reload = live.setting("ssl_passphrase_command_supports_reload") == Some("on");
    // The command itself is not shown to everybody.
    let command = live.setting("ssl_passphrase_command");
    let command = command.unwrap_or(if supports_reload { "hidden" } else { "" });
    match locked(command, supports_reload) {
        Some(why) if pair.keeps_its_key(identity) => Err(Error::DoesNotFit {
            what: format!(
                "{key} is encrypted, and a reload does not ask for its passphrase ({why}): the server would keep what it serves"
            ),
            remedy: format!("{UNLOCK}; then run this again; nothing was written"),
        }),
        _ => {
            if pair.is_encrypted && !pair.keeps_its_key(identity) {
                notes.push(format!(
                    "{key} was encrypted; the new key there is not: its mode is what keeps it"
                ));
            }
            Ok(())
        }
    }
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

/// Where the server is and where its files are: as said, else as at the last renewal, else as it was hardened from here;
/// `None` for the files: where the server says they are.
fn place(
    dir: &Path,
    conninfo: Option<&Conninfo>,
    config_dir: Option<&Path>,
    project: &Locked,
) -> Result<(Conninfo, Option<PathBuf>), Error> {
    let last = apply::notes(project)?
        .iter()
        .find_map(|text| Note::from_text(text))
        .map(|note| (note.conninfo, Some(note.config_dir)));
    let last = match last {
        Some(last) => Some(last),
        None => Live::of(&prepare::absolute(dir))
            .way()?
            .map(|way| (way.conninfo, way.config_dir)),
    };
    let there = config_dir.map(Path::to_path_buf);
    match (conninfo, last) {
        // What is known is of another server, maybe.
        (Some(conninfo), Some((known, known_dir))) if conninfo.to_keyword_value() == known => {
            Ok((conninfo.clone(), there.or(known_dir)))
        }
        (Some(conninfo), _) => Ok((conninfo.clone(), there)),
        (None, Some((known, known_dir))) => Ok((Conninfo::parse(&known)?, there.or(known_dir))),
        (None, None) => Err(Error::DoesNotFit {
            what: "which server it is for is not known here".to_owned(),
            remedy: "name it: pgtls renew CONNINFO --config-dir DIR".to_owned(),
        }),
    }
}

/// Whether the directory is the kit of a server that is hardened from here, so that a renewal is that server's.
pub fn belongs_to_a_server(dir: &Path) -> Result<bool, Error> {
    match prepare::project(dir) {
        Ok(setup) => Ok(prepare::is_beside_a_server(&setup, &prepare::absolute(dir))),
        Err(Error::NoProject(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Looks, before anything is written, whether the server can be reached, where its files are, and, where it `issues`, whether
/// the project's CA is to; gives both as they were found.
pub async fn look_first(
    dir: &Path,
    conninfo: Option<Conninfo>,
    config_dir: Option<&Path>,
    issues: bool,
    timeout: Duration,
    tell: &Teller,
) -> Result<(Conninfo, PathBuf), Error> {
    super::harden::settle(dir, tell)?;
    let project = Project::open(dir)?;
    let was_named = conninfo.is_some();
    let (conninfo, config_dir) = place(dir, conninfo.as_ref(), config_dir, &project)?;
    let look = async {
        let means = means(dir, timeout, OffsetDateTime::now_utc());
        let env = Environment::current();
        let mut live = Existing::enter(conninfo.clone(), &env, &means, config_dir.as_deref()).await?;
        let looked = async {
            present(&mut live).await?;
            if issues && belongs_to_a_server(dir)? {
                is_of_the_kit(dir, &live.presented().await?)?;
            }
            Ok(live.config_dir.clone())
        }
        .await;
        live.close().await;
        looked
    };
    match Box::pin(look).await {
        Ok(config_dir) => Ok((conninfo, config_dir)),
        Err(error) if was_named || matches!(error, Error::DoesNotFit { .. }) => Err(error),
        Err(error) => Err(Error::OutOfReach {
            what: format!(
                "the server of this kit cannot be reached as it was before ({}): {error}; nothing was written",
                crate::pki::printable(&conninfo.to_keyword_value())
            ),
            remedy: format!(
                "name the way in: pgtls renew CONNINFO --config-dir {} --dir {}",
                config_dir.map_or_else(|| "DIR".into(), |directory| directory.display().to_string()),
                dir.display()
            ),
        }),
    }
}

/// A certificate of somebody else's CA is not for the kit's to replace.
fn is_of_the_kit(dir: &Path, served: &[Certificate]) -> Result<(), Error> {
    let Some(leaf) = served.first() else { return Ok(()) };
    let mut known = vec![Layout::CA_CERT, Layout::NEXT_CERT, Layout::OLD_CERT]
        .into_iter()
        .map(|name| dir.join(name))
        .collect::<Vec<_>>();
    if let CertificateSource::Ca { certificate, .. } = prepare::project(dir)?.certificates {
        known.push(certificate);
    }
    for path in known {
        let bytes = files::read("the CA", &path)?.unwrap_or_default();
        let cas = Certificate::from_pem(&bytes).unwrap_or_default();
        if cas.iter().any(|ca| leaf.is_signed_by(ca)) {
            return Ok(());
        }
    }
    Err(Error::DoesNotFit {
        what: format!(
            "the server's certificate is not of this kit's CA, but was issued by {}; nothing was written",
            crate::pki::printable(leaf.issuer())
        ),
        remedy: "give the new one with --cert FILE, or where another tool writes it with --from DIR"
            .to_owned(),
    })
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

fn recovered(recovery: &apply::Recovery) -> String {
    match recovery {
        apply::Recovery::Finished { .. } => "finished a write that an earlier run was killed in".to_owned(),
        apply::Recovery::TakenBack { .. } => "took back a write that an earlier run was killed in".to_owned(),
    }
}
