//! Living with a project: stop, undo, renew.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::apply::{self, Project, Undone, Written};
use crate::dial::{Address, Deadline, NothingVerified, TlsSettings, handshake, open, ssl_request};
use crate::pki::Certificate;
use crate::setup::{Answers, Run};

use super::prepare::{self, Request, USUAL_PORT};
use super::succession;
use super::up::{self, Ask};
use super::{Error, Gathered, Ground, Renew, Secrets, Step, Teller, files, local};

/// Where the project's server runs; also the sandbox that is left when `undo` has taken back the answers.
pub async fn ground(dir: &Path) -> Result<Ground, Error> {
    let setup = match prepare::project(dir) {
        Err(error @ Error::NoProject(_)) => return Ground::left(dir).ok_or(error),
        other => other?,
    };
    if setup.run == Run::None {
        return Err(Error::DoesNotFit {
            what: "this project runs no server of its own (run = \"none\")".to_owned(),
            remedy: "stop the server the way it was started".to_owned(),
        });
    }
    Ground::look(&setup, &prepare::absolute(dir)).await
}

/// Stops what `up` started; gives the port it had.
pub async fn stop(ground: &Ground, tell: &Teller) -> Result<Option<u16>, Error> {
    let step = tell.begin(Step::Stop);
    let stopped = ground.stop(tell).await?;
    step.done(match stopped {
        Some(port) => format!("stopped PostgreSQL on port {port}"),
        None => "no server was running".to_owned(),
    });
    Ok(stopped)
}

/// Takes back the last write, and has a running server follow: it reads the restored files, or stops where
/// there are none any more.
pub async fn undo(dir: &Path, tell: &Teller) -> Result<Undone, Error> {
    let project = Project::open(dir)?;
    if let Some(undone) = Box::pin(super::rotate::take_back(&project, dir, tell)).await? {
        return Ok(undone);
    }
    // Before the files go: afterwards there may be no answers left to find the server by.
    let before = prepare::project(dir).ok();
    let ground = match &before {
        Some(setup) => Ground::look(setup, &prepare::absolute(dir)).await.ok(),
        None => Ground::left(dir),
    };
    let runs = match &ground {
        Some(ground) => ground.is_running().await?,
        None => false,
    };
    if let Some(why) = ground.as_ref().and_then(Ground::trouble) {
        tell.notice(format!(
            "a container of this project would go on unchanged: {}",
            why.says
        ));
    }
    let undone = apply::undo(&project)?;
    let Some(ground) = ground.filter(|_| runs) else {
        return Ok(undone);
    };
    let after = prepare::project(dir).ok();
    let after = after.filter(|after| before.is_none_or(|before| before.run == after.run));
    if let Some(setup) = after {
        let complaints = ground.follow(&setup, &prepare::absolute(dir), tell).await?;
        match complaints.first() {
            Some(complaint) => {
                tell.notice(format!("the server keeps its newer settings: {}", complaint.says));
            }
            None => tell.notice("the running server has read the restored files"),
        }
    } else {
        stop(&ground, tell).await?;
        for volume in ground.volumes().await? {
            tell.notice(format!("the data stays: {volume}"));
        }
    }
    Ok(undone)
}

/// What a kit's server has promised so far; `None` where the directory is no such kit.
pub fn in_force(dir: &Path) -> Result<Option<super::harden::InForce>, Error> {
    let setup = prepare::project(dir)?;
    Ok(super::harden::in_force(&prepare::absolute(dir), &setup))
}

/// What a renewal came to.
#[derive(Debug)]
pub struct Renewal {
    /// The project directory, absolute.
    pub dir: PathBuf,
    /// What was written.
    pub written: Written,
    /// The new server certificate.
    pub certificate: Certificate,
    /// All keys and certificates as they are now.
    pub gathered: Arc<Gathered>,
    /// Whether the server was seen to serve it; `None` where there is no running server of ours to ask.
    pub served: Option<bool>,
}

/// Issues new certificates, puts them in force, and looks at what the server then presents: a reload that
/// failed looks like success in SQL.
pub async fn renew(
    dir: &Path,
    secrets: &Secrets,
    what: Renew,
    ask: &dyn Ask,
    timeout: Duration,
    now: OffsetDateTime,
    tell: &Teller,
) -> Result<Renewal, Error> {
    prepare::project(dir)?;
    let project = Project::open(dir)?;
    let request = Request {
        dir: dir.to_path_buf(),
        flags: Answers::default(),
        answers_file: None,
        secrets: secrets.clone(),
        renew: what,
        gathered: None,
        first_port: USUAL_PORT,
        now,
    };
    let prepared = prepare::prepare(&request, &project, None, tell).await?;
    let certificate = prepared.gathered.credentials.server.leaf().clone();
    let runs = prepared.ground.is_running().await?;
    if let (Renew::Stage(stage), true) = (what, runs) {
        succession::may_come(&prepared, stage, timeout).await?;
    }
    let by = match what {
        Renew::Stage(stage) => format!("renew --ca --stage {}", stage.word()),
        Renew::Everything => "renew --ca".to_owned(),
        _ => "renew".to_owned(),
    };
    let (prepared, written) = up::write(prepared, &project, &by, ask, tell)?;
    let mut renewal = Renewal {
        dir: prepared.dir.clone(),
        written,
        certificate,
        gathered: Arc::clone(&prepared.gathered),
        served: None,
    };
    if !runs {
        return Ok(renewal);
    }
    let step = tell.begin(Step::Reload);
    if let Some(complaint) = prepared.ground.reload(tell).await?.first() {
        return Err(Error::Reload(complaint.clone()));
    }
    step.done("the running server has read its files again");
    let host = local::host(&prepared.setup, prepared.found.port, timeout).await;
    let step = tell.begin(Step::Verify);
    if let Renew::Stage(_) = what
        && let Err(why) = succession::holds(&prepared, timeout).await
    {
        apply::undo(&project)?;
        prepared.ground.reload(tell).await?;
        return Err(Error::NotInForce {
            what: format!(
                "the running server does not accept the new CA's clients: {why}. Everything is as it was before"
            ),
            remedy: "look at the server's log for the reason, mend it, then try again".to_owned(),
        });
    }
    let served = serves(&host, prepared.found.port, &renewal.certificate, timeout).await?;
    renewal.served = Some(served);
    step.done(if served {
        "the new certificate is served"
    } else {
        "the OLD certificate is still served"
    });
    Ok(renewal)
}

/// Whether the server presents this certificate, before the time is up: a reload reaches new connections only
/// once the server has turned to it.
pub(super) async fn serves(
    host: &str,
    port: u16,
    wanted: &Certificate,
    timeout: Duration,
) -> Result<bool, Error> {
    let until = Instant::now() + timeout;
    loop {
        let presented = presented(
            host,
            port,
            Deadline::after(until.saturating_duration_since(Instant::now())),
        )
        .await?;
        if presented.first().is_some_and(|leaf| leaf == wanted) {
            return Ok(true);
        }
        if Instant::now() >= until {
            return Ok(false);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The chain that a server presents, leaf first; nothing is verified and nothing is sent.
pub async fn presented(host: &str, port: u16, deadline: Deadline) -> Result<Vec<Certificate>, Error> {
    let look = look(host, port, deadline).await?;
    Ok(look.chain)
}

/// What a server shows to anybody.
#[derive(Debug)]
pub struct Look {
    /// The chain, leaf first.
    pub chain: Vec<Certificate>,
    /// Protocol, cipher and group, if the handshake came so far.
    pub agreed: Option<(String, String, String)>,
    /// Whether the server asks for a client certificate.
    pub asks_for_certificate: bool,
}

/// Looks at what a server shows to anybody, through an `SSLRequest`.
pub async fn look(host: &str, port: u16, deadline: Deadline) -> Result<Look, Error> {
    let fail = |why: String| Error::Database {
        doing: format!("looking at {host} port {port}"),
        why,
    };
    let address = Address::resolve(host, port, deadline).await?;
    let mut stream = open(&address, deadline).await?;
    match ssl_request(&mut stream, deadline)
        .await
        .map_err(|lost| fail(lost.to_string()))?
    {
        crate::dial::SslAnswer::Accepts => {}
        crate::dial::SslAnswer::Refuses => {
            return Err(fail("the server does not offer TLS (ssl is off)".to_owned()));
        }
        crate::dial::SslAnswer::Error(message) => return Err(fail(message.to_string())),
        crate::dial::SslAnswer::Stuffed(_) | crate::dial::SslAnswer::Garbage(_) => {
            return Err(fail("its answer is not PostgreSQL's".to_owned()));
        }
    }
    let settings = TlsSettings::new(std::sync::Arc::new(NothingVerified)).with_sni_for(host);
    let (der, agreed, asks_for_certificate) = match handshake(stream, &settings, deadline).await {
        Ok(session) => {
            let facts = session.facts();
            let agreed = [facts.protocol, facts.cipher, facts.group].map(str::to_owned);
            (
                facts.presented.clone(),
                Some(agreed.into()),
                facts.asked_for_certificate,
            )
        }
        Err(failure) if failure.presented.is_empty() => return Err(fail(failure.to_string())),
        Err(failure) => (failure.presented, None, failure.asked_for_certificate),
    };
    let chain = der
        .iter()
        .filter_map(|der| Certificate::from_der(der).ok())
        .collect();
    Ok(Look {
        chain,
        agreed,
        asks_for_certificate,
    })
}

/// What a certificate file holds.
pub fn certificates(path: &Path) -> Result<Vec<Certificate>, Error> {
    let bytes = files::must_read("the file", path)?;
    Certificate::from_pem(&bytes)
        .or_else(|error| {
            Certificate::from_der(&bytes)
                .map(|certificate| vec![certificate])
                .map_err(|_| error)
        })
        .map_err(|error| Error::File {
            what: "the file",
            path: path.to_path_buf(),
            why: error.to_string(),
            remedy: "give a certificate in PEM or DER".to_owned(),
        })
}
