//! The lesson's own server, in the sandbox or in a container, whose rules and certificate the scenes change.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use zeroize::Zeroizing;

use super::place::Place;
use super::stage::{BRIEF, FURNISH, HOST, log_in};
use super::{Playground, Wanted};
use crate::apply::{self, Answer, Change};
use crate::dial::{Address, Deadline, Link, open};
use crate::engine::ground::{Ground, Live, Serving};
use crate::engine::prepare::{self, Prepared, Request};
use crate::engine::up::{Ask, write};
use crate::engine::{Error, Renew, Secrets, Teller};
use crate::pki::{Authority, Certificate, Identity};
use crate::plan::{Artifact, Content, Layout, Line};
use crate::server::Psql;
use crate::server::fetch::FetchPlan;
use crate::setup::{Answers, ClientAnswer, Run, Setup};

/// Who logs in.
pub(super) const ROLE: &str = "ann";
/// Whose certificate an impostor has got hold of.
pub(super) const OTHER_ROLE: &str = "bob";
/// Into which database.
pub(super) const DATABASE: &str = "bank";

/// What is to be said if a lesson that could not begin is still there.
pub(super) const STILL_THERE: &str = "what the lesson had made (pgtls-lesson-…, among the temporary files and in the container \
                                      engine) could not all be removed";

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

/// How a server is started for a lesson.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start(Box<Answers>);

impl Start {
    /// As `run`, `pg_bin`, `pg_version` and `image` of these answers say; the rest is the lesson's own.
    pub fn new(answers: &Answers) -> Result<Self, Error> {
        let start = Self::of(answers);
        let setup = Setup::from_answers(&start.0).map_err(Error::Answers)?;
        if setup.run == Run::None {
            return Err(Error::DoesNotFit {
                what: "--run none starts no server, and the lesson is played with one".to_owned(),
                remedy:
                    "give --run sandbox or --run compose, or the connection string of a server of your own"
                        .to_owned(),
            });
        }
        Ok(start)
    }

    fn of(answers: &Answers) -> Self {
        let text = |text: &str| Some(text.to_owned());
        Self(Box::new(Answers {
            mode: text("mtls"),
            auth: text("scram+cert"),
            run: answers.run.clone(),
            hosts: vec![HOST.to_owned()],
            user: text(ROLE),
            database: text(DATABASE),
            clients: vec![ClientAnswer::from_flag(ROLE)],
            pg_bin: answers.pg_bin.clone(),
            pg_version: answers.pg_version,
            image: answers.image.clone(),
            ..Answers::default()
        }))
    }
}

impl Default for Start {
    fn default() -> Self {
        Self::of(&Answers::default())
    }
}

/// Where its port is looked for: far from those that somebody's own server is expected on.
const FIRST_PORT: u16 = 25432;

/// A running one.
pub(super) struct Own {
    serving: Serving,
    /// What runs it, where this machine's programs do: dropping it stops them. A container is taken down by the keeper.
    _programs: Option<Live>,
    prepared: Prepared,
    /// What the server showed when the lesson began.
    genuine: Vec<Artifact>,
    /// Whether everything is as it was then.
    is_genuine: AtomicBool,
}

impl Own {
    /// Starts it; gives its CA, and the psql that belongs to it.
    pub async fn start(
        wanted: &Wanted,
        place: &Place,
        ask: &dyn Ask,
        tell: &Teller,
    ) -> Result<(Self, Authority, Option<Psql>), Error> {
        let ask = &Asked(ask);
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
        let (mut prepared, _) = write(prepared, place.project(), "demo", ask, tell)?;
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
        let serving = live.serving();
        let programs = match live {
            Live::Container(..) => {
                live.keep()?;
                None
            }
            programs => Some(programs),
        };
        let own = Self {
            serving,
            _programs: programs,
            prepared,
            genuine,
            is_genuine: AtomicBool::new(true),
        };
        own.furnish(place).await?;
        Ok((own, authority, psql))
    }

    pub fn in_words(&self) -> String {
        let Serving { version, port } = self.serving;
        let place = match self.prepared.setup.run {
            Run::Compose => ", in a container",
            _ => "",
        };
        format!("PostgreSQL {version} on 127.0.0.1 port {port}{place}")
    }

    /// What is to be said if the keeper could not remove what the lesson had made.
    pub fn left_in_words(&self) -> String {
        match &self.prepared.found.containers {
            Some(containers) => format!(
                "the lesson's container could not be taken down; this does it: docker compose --project-name {} down --volumes",
                containers.project.name
            ),
            None => STILL_THERE.to_owned(),
        }
    }

    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.serving.port).into()
    }

    /// Everything as it was when the lesson began.
    pub async fn reset(&self, place: &Place) -> Result<(), Error> {
        if self.is_genuine.load(Ordering::Acquire) {
            return Ok(());
        }
        place.put(&self.genuine)?;
        self.rules(place, Rules::Password).await?;
        self.is_genuine.store(true, Ordering::Release);
        Ok(())
    }

    /// Puts rules in force.
    pub async fn rules(&self, place: &Place, rules: Rules) -> Result<(), Error> {
        let planned = self.prepared.plan.get(Layout::HBA).cloned();
        if let Some(planned) = planned {
            let artifact = match rules {
                Rules::Password => with_password_rules(&planned),
                Rules::Certificate => planned,
            };
            self.put(place, &[artifact])?;
        }
        self.reload().await
    }

    /// The line that demands a certificate, as pgtls plans it.
    pub fn demand(&self) -> String {
        let planned = self.prepared.plan.get(Layout::HBA);
        let lines = match planned.map(|artifact| &artifact.content) {
            Some(Content::Text(lines)) => lines.as_slice(),
            _ => &[],
        };
        let line = lines.iter().find(|line| line.text.starts_with("hostssl"));
        let words = line.map_or("", |line| line.text.as_str()).split_whitespace();
        words.collect::<Vec<_>>().join(" ")
    }

    fn put(&self, place: &Place, artifacts: &[Artifact]) -> Result<(), Error> {
        // A scene that is cut off in the middle leaves it to the next one.
        self.is_genuine.store(false, Ordering::Release);
        place.put(artifacts)
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
        self.put(place, &files)?;
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

    /// Makes the table, as the role whose database it is, and the passfile.
    async fn furnish(&self, place: &Place) -> Result<(), Error> {
        let failed = |why: String| Error::Database {
            doing: "making the lesson's table".to_owned(),
            why,
        };
        let credentials = &self.prepared.gathered.credentials;
        let password = credentials
            .clients
            .iter()
            .find_map(|client| client.password.as_ref())
            .ok_or_else(|| failed("the lesson's role has no password".to_owned()))?;
        place.put_password(ROLE, password)?;
        let (mut session, _) = log_in(self.address(), ROLE, DATABASE, password)
            .await
            .map_err(failed)?;
        let made = session.query(FURNISH, Deadline::after(BRIEF)).await;
        session.close(Deadline::after(BRIEF)).await;
        made.map(drop).map_err(|error| failed(error.to_string()))
    }
}

/// Of all that a person may be asked on the way to a server, what concerns what is theirs: everything else is the lesson's,
/// and goes with it.
struct Asked<'a>(&'a dyn Ask);

impl Ask for Asked<'_> {
    fn edited(&self, change: &Change) -> Answer {
        self.0.edited(change)
    }

    fn fetch(&self, plan: &FetchPlan) -> bool {
        self.0.fetch(plan)
    }
}

/// What the lesson's server is made from.
fn request(wanted: &Wanted, dir: &Path) -> Request {
    let Start(flags) = match &wanted.playground {
        Playground::Own(start) => start.clone(),
        Playground::Yours(_) => Start::default(),
    };
    Request {
        dir: dir.to_owned(),
        flags: *flags,
        answers_file: None,
        secrets: Secrets::default(),
        renew: Renew::Nothing,
        gathered: None,
        first_port: FIRST_PORT,
        // Made some time ago, so that a certificate of this CA can have ended since.
        now: wanted.now - AGE,
    }
}

/// The rules that pgtls plans, with lines before them that let a password in, with TLS or without: what many servers have.
fn with_password_rules(planned: &Artifact) -> Artifact {
    let Content::Text(lines) = &planned.content else {
        return planned.clone();
    };
    let weak: Vec<Line> = lines.iter().filter_map(weakened).collect();
    let mut lines = lines.clone();
    let at = lines
        .iter()
        .position(|line| line.text.starts_with("host"))
        .unwrap_or(lines.len());
    lines.splice(at..at, weak);
    Artifact {
        content: Content::Text(lines),
        ..planned.clone()
    }
}

fn weakened(line: &Line) -> Option<Line> {
    let columns: Vec<&str> = line.text.split_whitespace().collect();
    let ["hostssl", database, role, address, ..] = columns[..] else {
        return None;
    };
    Some(Line {
        text: format!("host {database} {role} {address} scram-sha-256"),
        why: None,
    })
}
