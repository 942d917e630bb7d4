//! New certificates for a running server of a person's own: checked, changed at one instant, read again, seen served, and
//! taken back where they are not. Sessions that are open stay open.

mod back;
mod pair;

use std::path::{Path, PathBuf};
use std::time::Duration;

use time::OffsetDateTime;

use crate::apply::{self, Locked, Project};
use crate::conninfo::{Conninfo, Environment};
use crate::pki::{Certificate, HostName, Identity};

use super::{Error, Existing, Given, Means, Note, Stage, Step, Teller, prepare, revocation};
use back::go_back;
use pair::{identity, not_in_reach, pair_files, present, public};

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
