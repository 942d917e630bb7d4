//! A new CA in the place of the old one, in three stages, so that nobody is locked out on the way:
//!
//! 1. [`Stage::Trust`]: the new CA is made; server and clients trust both. Certificates are still the old one's.
//! 2. [`Stage::Issue`]: certificates are the new one's; both are still trusted.
//! 3. [`Stage::Withdraw`]: the old one is trusted no more.
//!
//! Between two stages a person hands the clients' files out. Where a project stands shows in its files: `ca/next.crt` after
//! the first, `ca/old.crt` after the second.

use std::path::Path;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use time::OffsetDateTime;

use crate::dial::{
    Address, ClientIdentity, Deadline, NothingVerified, SslAnswer, TlsSettings, handshake, open, ssl_request,
    startup_over,
};
use crate::pki::{Algorithm, Authority, Certificate, Identity};
use crate::plan::{Layout, shell};
use crate::setup::{CertificateSource, Mode, Setup};

use super::local;
use super::manage::presented;
use super::{Error, Gathered, Prepared, files, prepare};

/// One stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Both sides trust old and new.
    Trust,
    /// Certificates come from the new one.
    Issue,
    /// The old one is withdrawn.
    Withdraw,
}

impl Stage {
    /// The word of the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Trust => "trust",
            Self::Issue => "issue",
            Self::Withdraw => "withdraw",
        }
    }
}

/// Where a project stands.
#[derive(Debug, Default)]
pub struct Succession {
    /// The CA that is trusted and does not issue yet.
    pub next: Option<Authority>,
    /// The CA that is still trusted and does not issue any more.
    pub old: Option<Certificate>,
}

/// What comes after a stage; `None`: nothing.
#[must_use]
pub fn next(stage: Stage, dir: &Path) -> Option<String> {
    let what = match stage {
        Stage::Trust => {
            "next: hand out root.crt of each clients/NAME/ to every client, then `pgtls renew --ca --stage issue`"
        }
        Stage::Issue => {
            "next: hand out the files of each clients/NAME/ to its client, then `pgtls renew --ca --stage withdraw`"
        }
        Stage::Withdraw => return None,
    };
    Some(in_dir(what, dir))
}

/// The same words, whose commands are typed elsewhere than in that directory.
fn in_dir(words: &str, dir: &Path) -> String {
    let dir = prepare::absolute(dir);
    if std::env::current_dir().is_ok_and(|here| here == dir) {
        return words.to_owned();
    }
    let option = format!(" --dir {}`", shell(&dir.to_string_lossy()));
    ["trust`", "issue`", "withdraw`"]
        .into_iter()
        .fold(words.to_owned(), |words, end| {
            words.replace(end, &format!("{}{option}", end.trim_end_matches('`')))
        })
}

impl Succession {
    /// Reads it.
    pub fn read(dir: &Path, passphrase: Option<&SecretString>, now: OffsetDateTime) -> Result<Self, Error> {
        let (certificate, key) = (dir.join(Layout::NEXT_CERT), dir.join(Layout::NEXT_KEY));
        let found = (
            files::read("the next CA", &certificate)?,
            files::read("the key of the next CA", &key)?,
        );
        let next = match found {
            (Some(certificate), Some(key)) => Some(Authority::load(&certificate, &key, passphrase, now)?),
            (None, None) => None,
            (Some(_), None) => return Err(half(certificate, key)),
            (None, Some(_)) => return Err(half(key, certificate)),
        };
        let path = dir.join(Layout::OLD_CERT);
        let old = match files::read("the CA that was followed", &path)? {
            Some(bytes) => Certificate::from_pem(&bytes)
                .map_err(|error| Error::File {
                    what: "the CA that was followed",
                    path,
                    why: error.to_string(),
                    remedy: "bring it back, or go on with `pgtls renew --ca --stage withdraw`".to_owned(),
                })?
                .into_iter()
                .next(),
            None => None,
        };
        Ok(Self { next, old })
    }

    /// Whether a stage may come now: each only after the one before it.
    pub fn admits(&self, stage: Stage, setup: &Setup, dir: &Path) -> Result<(), Error> {
        let refuse = |what: &str, remedy: &str| {
            Err(Error::DoesNotFit {
                what: what.to_owned(),
                remedy: in_dir(remedy, dir),
            })
        };
        if setup.certificates != CertificateSource::Own {
            return refuse(
                "the CA here is not pgtls's own, so pgtls does not follow it with another",
                "have its clients trust old and new (both certificates in their root file) before you issue from the new",
            );
        }
        match (stage, &self.next, &self.old) {
            (Stage::Trust, None, None) | (Stage::Issue, Some(_), _) | (Stage::Withdraw, None, Some(_)) => {
                Ok(())
            }
            (Stage::Trust, Some(_), _) => refuse(
                "this stage is in force already: the new CA is made and trusted",
                "hand out clients/NAME/root.crt, then `pgtls renew --ca --stage issue`",
            ),
            (Stage::Trust, None, Some(_)) => refuse(
                "the CA before is not withdrawn yet",
                "finish that first: `pgtls renew --ca --stage withdraw`",
            ),
            (Stage::Issue, None, None) => refuse(
                "no new CA is trusted yet: its certificates would be refused",
                "begin with `pgtls renew --ca --stage trust`",
            ),
            (Stage::Issue, None, Some(_)) => refuse(
                "this stage is in force already: certificates are the new CA's",
                "hand out the clients' files, then `pgtls renew --ca --stage withdraw`",
            ),
            (Stage::Withdraw, Some(_), _) => refuse(
                "certificates are still the old CA's: without it nobody would come in",
                "first `pgtls renew --ca --stage issue`",
            ),
            (Stage::Withdraw, None, None) => refuse(
                "there is no CA to withdraw",
                "a new one begins with `pgtls renew --ca --stage trust`",
            ),
        }
    }

    /// All that is trusted, the issuing CA first.
    #[must_use]
    pub fn roots(&self, issuing: &Certificate) -> Vec<Certificate> {
        let next = self.next.as_ref().map(|next| next.root().clone());
        std::iter::once(issuing.clone())
            .chain(next)
            .chain(self.old.clone())
            .collect()
    }
}

fn half(found: std::path::PathBuf, missing: std::path::PathBuf) -> Error {
    Error::Half {
        found,
        missing,
        remedy: "bring it back from where you keep it, or `pgtls undo` the stage".to_owned(),
    }
}

/// Whether a server takes a client certificate in the handshake, whatever its rules then say to the login; a reload reaches
/// new connections only once the server has turned to it, so it is asked until the time is up.
pub async fn accepts(host: &str, port: u16, client: &Identity, timeout: Duration) -> Result<(), String> {
    let until = Instant::now() + timeout;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match once(host, port, client, Deadline::after(left)).await {
            Ok(()) => return Ok(()),
            Err(why) if Instant::now() >= until => return Err(why),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn once(host: &str, port: u16, client: &Identity, deadline: Deadline) -> Result<(), String> {
    let address = Address::resolve(host, port, deadline)
        .await
        .map_err(|error| error.to_string())?;
    let mut stream = open(&address, deadline)
        .await
        .map_err(|error| error.to_string())?;
    match ssl_request(&mut stream, deadline).await {
        Ok(SslAnswer::Accepts) => {}
        Ok(_) => return Err("it offers no TLS".to_owned()),
        Err(lost) => return Err(lost.to_string()),
    }
    let identity = ClientIdentity::from_pki(client).map_err(|error| error.to_string())?;
    let settings = TlsSettings::new(std::sync::Arc::new(NothingVerified)).with_identity(identity);
    let session = handshake(stream, &settings, deadline)
        .await
        .map_err(|failure| failure.fault.to_string())?;
    // In TLS 1.3 a refused certificate shows only in the first answer.
    startup_over(session, "pgtls", "pgtls", deadline)
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}

/// Whether a stage may come, by what the running server and the clients' files show: each only once the one before is in
/// force.
pub async fn may_come(prepared: &Prepared, stage: Stage, timeout: Duration) -> Result<(), Error> {
    let refuse = |what: String| {
        Err(Error::DoesNotFit {
            what,
            remedy: format!(
                "put the stage before in force: `pgtls up --dir {}` has the server read its files, or see its log",
                prepared.dir.display()
            ),
        })
    };
    match stage {
        Stage::Trust => {}
        Stage::Issue => {
            kits_trust(prepared)?;
            if let Err(why) = holds(prepared, timeout).await {
                return refuse(format!("the running server does not trust the new CA yet: {why}"));
            }
        }
        Stage::Withdraw => {
            let host = local::host(&prepared.setup, prepared.found.port, timeout).await;
            let presented = presented(&host, prepared.found.port, Deadline::after(timeout)).await?;
            // The CA that issues stands first, also where its key is kept elsewhere.
            let issuer = prepared.gathered.credentials.server_roots.first();
            let is_new = presented
                .first()
                .zip(issuer)
                .is_some_and(|(leaf, issuer)| leaf.is_signed_by(issuer));
            if !is_new {
                return refuse("the running server still serves a certificate of the old CA".to_owned());
            }
        }
    }
    Ok(())
}

/// Every kit must hold the CA that is about to issue: what was not written cannot have been handed out.
fn kits_trust(prepared: &Prepared) -> Result<(), Error> {
    let Some(issuer) = &prepared.gathered.issuer else {
        return Ok(());
    };
    for kit in &prepared.kits {
        let path = prepared.dir.join(Layout::kit_file(&kit.name, "root.crt"));
        let bytes = files::read("the kit's root", &path)?.unwrap_or_default();
        let roots = Certificate::from_pem(&bytes).unwrap_or_default();
        if !roots.contains(issuer.root()) {
            return Err(Error::DoesNotFit {
                what: format!(
                    "{} does not hold the new CA, so that client would refuse the server",
                    path.display()
                ),
                remedy: "`pgtls apply` writes it again; hand it out before certificates change".to_owned(),
            });
        }
    }
    Ok(())
}

/// Whether the running server takes a client of the newest CA; without client certificates there is nothing to take.
pub async fn holds(prepared: &Prepared, timeout: Duration) -> Result<(), String> {
    if prepared.setup.mode == Mode::OneWay {
        return Ok(());
    }
    let Some(client) = newcomer(&prepared.gathered) else {
        return Ok(());
    };
    let host = local::host(&prepared.setup, prepared.found.port, timeout).await;
    accepts(&host, prepared.found.port, &client, timeout).await
}

/// A client of the newest CA, for a look; it is written nowhere.
#[must_use]
pub fn newcomer(gathered: &Gathered) -> Option<Identity> {
    let newest = gathered.credentials.next.as_ref().or(gathered.issuer.as_ref())?;
    newest
        .issue_client("pgtls", Algorithm::P256, 1, OffsetDateTime::now_utc())
        .ok()
}
