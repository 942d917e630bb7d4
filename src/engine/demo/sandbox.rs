//! The lesson's own server: a PostgreSQL in the lesson's directory, whose rules and certificate the scenes change.

use std::net::SocketAddr;
use std::path::Path;

use zeroize::Zeroizing;

use super::place::Place;
use super::stage::{BRIEF, HOST};
use super::{Playground, Wanted};
use crate::apply;
use crate::dial::{Address, Deadline, Link, open};
use crate::engine::database;
use crate::engine::ground::{Ground, Live};
use crate::engine::prepare::{self, Prepared, Request};
use crate::engine::up::{Ask, write};
use crate::engine::{Error, Renew, Secrets, Teller};
use crate::pki::{Authority, Certificate, Identity};
use crate::plan::{Artifact, Content, Layout, Line};
use crate::server::{Psql, Server};
use crate::setup::{Answers, ClientAnswer};

/// Who logs in.
pub(super) const ROLE: &str = "ann";
/// Into which database.
pub(super) const DATABASE: &str = "bank";

/// How long ago the lesson's CA was made.
const AGE: time::Duration = time::Duration::days(30);

/// Which rules are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    /// A password will do, with or without TLS: as many servers are.
    Password,
    /// As pgtls writes them for `scram+cert`: TLS, a password, and a certificate for the role.
    Certificate,
}

/// A running one; dropping it stops it.
pub(super) struct Sandbox {
    live: Live,
    prepared: Prepared,
    /// What the server showed when the lesson began.
    genuine: Vec<Artifact>,
}

impl Sandbox {
    /// Starts it; gives its CA, and the psql that belongs to it.
    pub async fn start(
        wanted: &Wanted,
        place: &Place,
        ask: &dyn Ask,
        tell: &Teller,
    ) -> Result<(Self, Authority, Option<Psql>), Error> {
        let request = request(wanted, place.dir());
        let setup = prepare::setup(&request)?;
        let ground = Ground::find(&setup, place.dir(), ask, tell).await?;
        let psql = Psql::find(ground.binaries()).await;
        let mut prepared = prepare::prepare(&request, place.project(), Some(ground), tell).await?;
        let artifacts: Vec<_> = prepared
            .plan
            .artifacts
            .iter()
            .map(|artifact| {
                if artifact.path == Path::new(Layout::HBA) {
                    with_password_rules(artifact)
                } else {
                    artifact.clone()
                }
            })
            .collect();
        prepared.changes = Some(apply::compare(place.project(), &artifacts)?);
        let (mut prepared, _) = write(prepared, place.project(), ask, tell)?;
        let held = prepared.held.take();
        let live = prepared
            .ground
            .serve(&prepared, held, ask, tell)
            .await?
            .ok_or_else(|| Error::Environment {
                what: "no server was started for the lesson".to_owned(),
            })?;
        let authority = prepared
            .gathered
            .issuer
            .clone()
            .ok_or_else(|| Error::Environment {
                what: "no CA was made for the lesson".to_owned(),
            })?;
        let genuine = [Layout::SERVER_CERT, Layout::SERVER_KEY]
            .iter()
            .filter_map(|path| prepared.plan.get(path).cloned())
            .collect();
        let sandbox = Self {
            live,
            prepared,
            genuine,
        };
        sandbox.furnish(place).await?;
        Ok((sandbox, authority, psql))
    }

    pub fn in_words(&self) -> String {
        match self.server() {
            Some(server) => format!("PostgreSQL {} on 127.0.0.1 port {}", server.version, server.port),
            None => "PostgreSQL".to_owned(),
        }
    }

    fn server(&self) -> Option<&Server> {
        match &self.live {
            Live::Started(running) => Some(running.server()),
            Live::Was(server) => Some(server),
            Live::Container(..) => None,
        }
    }

    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.prepared.found.port).into()
    }

    /// Everything as it was when the lesson began.
    pub async fn reset(&self, place: &Place) -> Result<(), Error> {
        place.put(&self.genuine)?;
        self.rules(place, Rules::Password).await
    }

    /// Puts rules in force.
    pub async fn rules(&self, place: &Place, rules: Rules) -> Result<(), Error> {
        let planned = self.prepared.plan.get(Layout::HBA).cloned();
        if let Some(planned) = planned {
            let artifact = match rules {
                Rules::Password => with_password_rules(&planned),
                Rules::Certificate => planned,
            };
            place.put(&[artifact])?;
        }
        self.reload().await
    }

    /// Has the server show this certificate from now on.
    pub async fn show(&self, place: &Place, identity: &Identity) -> Result<(), Error> {
        let files: Vec<_> = self
            .genuine
            .iter()
            .map(|genuine| Artifact {
                content: match &genuine.content {
                    Content::Secret { description, .. } => Content::Secret {
                        bytes: Zeroizing::new(identity.key().to_pem().as_bytes().to_vec()),
                        description: description.clone(),
                    },
                    _ => Content::Public {
                        bytes: identity.chain_pem().into_bytes(),
                        description: "the server's certificate".to_owned(),
                    },
                },
                ..genuine.clone()
            })
            .collect();
        place.put(&files)?;
        self.reload().await
    }

    /// The certificate that new connections are shown now.
    pub async fn served(&self) -> Result<Certificate, Error> {
        let failed = |why: String| Error::Database {
            doing: "looking at the certificate that is served".to_owned(),
            why,
        };
        let address = Address::known(HOST, self.address());
        let deadline = Deadline::after(BRIEF);
        let stream = open(&address, deadline).await?;
        let link = Link::offered(stream, deadline).await.map_err(failed)?;
        let leaf = link
            .presented()
            .first()
            .ok_or_else(|| failed("it shows none".to_owned()))?;
        Certificate::from_der(leaf).map_err(|error| failed(error.to_string()))
    }

    async fn reload(&self) -> Result<(), Error> {
        // It is no step of a journey here, and is told by the scene that needs it.
        let complaints = self.prepared.ground.reload(&Teller::silent()).await?;
        complaints
            .into_iter()
            .next()
            .map_or(Ok(()), |complaint| Err(Error::Reload(complaint)))
    }

    /// Makes the table, and the passfile.
    async fn furnish(&self, place: &Place) -> Result<(), Error> {
        let password = self
            .prepared
            .gathered
            .credentials
            .clients
            .iter()
            .find_map(|client| client.password.as_ref());
        if let Some(password) = password {
            place.put_password(ROLE, password)?;
        }
        let Some(server) = self.server() else {
            return Ok(());
        };
        let mut session = database::enter_database(server, DATABASE).await?;
        let furnish = format!("{}; GRANT SELECT ON accounts TO {ROLE}", super::stage::FURNISH);
        let made = session.query(&furnish, Deadline::after(BRIEF)).await;
        session.close(Deadline::after(BRIEF)).await;
        made.map_err(|error| Error::Database {
            doing: "making the lesson's table".to_owned(),
            why: error.to_string(),
        })?;
        Ok(())
    }
}

fn request(wanted: &Wanted, dir: &Path) -> Request {
    let text = |text: &str| Some(text.to_owned());
    let (pg_bin, pg_version) = match &wanted.playground {
        Playground::Sandbox { pg_bin, pg_version } => (pg_bin.clone(), *pg_version),
        Playground::Yours(_) => (None, None),
    };
    Request {
        dir: dir.to_owned(),
        flags: Answers {
            mode: text("mtls"),
            auth: text("scram+cert"),
            run: text("sandbox"),
            hosts: vec![HOST.to_owned()],
            user: text(ROLE),
            database: text(DATABASE),
            clients: vec![ClientAnswer::from_flag(ROLE)],
            pg_bin,
            pg_version: pg_version.map(i64::from),
            ..Answers::default()
        },
        answers_file: None,
        secrets: Secrets::default(),
        renew: Renew::Nothing,
        gathered: None,
        // Made some time ago, so that a certificate of this CA can have ended since.
        now: wanted.now - AGE,
    }
}

/// The rules that pgtls plans, with a line before them that lets a password in, with TLS or without: what many servers have.
fn with_password_rules(planned: &Artifact) -> Artifact {
    let Content::Text(lines) = &planned.content else {
        return planned.clone();
    };
    let mut lines = lines.clone();
    let at = lines
        .iter()
        .position(|line| line.text.starts_with("host"))
        .unwrap_or(lines.len());
    let weak = ["127.0.0.1/32", "::1/128"].map(|address| Line {
        text: format!("host {DATABASE} {ROLE} {address} scram-sha-256"),
        why: None,
    });
    lines.splice(at..at, weak);
    Artifact {
        content: Content::Text(lines),
        ..planned.clone()
    }
}
