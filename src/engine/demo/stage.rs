//! The stage: a PostgreSQL of the lesson's own with one table in it, its certificates, and what the impostors show.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::Wanted;
use super::client::Client;
use crate::apply::{self, Locked, Policy, Project};
use crate::conninfo::{Conninfo, Keyword, SslMode};
use crate::dial::{
    Address, Deadline, Disguise, Forgery, NothingVerified, SslAnswer, TlsSettings, handshake, open,
    ssl_request,
};
use crate::engine::database;
use crate::engine::ground::{Ground, Live};
use crate::engine::prepare::{self, Prepared, Request};
use crate::engine::up::{Ask, write};
use crate::engine::{Error, Renew, Secrets, Teller};
use crate::pki::{Algorithm, Authority, Certificate, HostName, Identity};
use crate::plan::{Artifact, Content, Layout, Line};
use crate::server::{Psql, PsqlFiles, Server, Temporary};
use crate::setup::{Answers, ClientAnswer};

/// The name under which the server is dialled (RFC 2606); its address is loopback's.
pub(super) const HOST: &str = "db.bank.example";
/// The name in the certificate of the same CA that an impostor has got hold of.
pub(super) const OTHER_HOST: &str = "mail.bank.example";
/// Who logs in.
pub(super) const ROLE: &str = "ann";
/// Into which database.
const DATABASE: &str = "bank";
/// What is asked.
pub(super) const QUERY: &str = "SELECT balance FROM accounts WHERE owner = 'ann'";
/// What is true.
pub(super) const BALANCE: &str = "4217";
/// What the impostor makes of it.
pub(super) const FORGED: &str = "13";

/// What the server is told at the beginning. A lesson's database needs no durability.
const FURNISH: &str = "\
CREATE TABLE accounts (owner text PRIMARY KEY, balance int NOT NULL);
INSERT INTO accounts VALUES ('ann', 4217), ('bob', 38);
GRANT SELECT ON accounts TO ann;";

/// The longest that a small question may take.
const BRIEF: std::time::Duration = std::time::Duration::from_secs(20);

/// Which rules are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    /// A password will do, with or without TLS: as many servers are.
    Password,
    /// As pgtls writes them for `scram+cert`: TLS, a password, and a certificate for the role.
    Certificate,
}

/// The fields are dropped in their order: the server ends before its place does.
pub(super) struct Stage {
    live: Live,
    prepared: Prepared,
    project: Locked,
    pub client: Client,
    /// What the server showed when the lesson began.
    genuine: Vec<Artifact>,
    authority: Authority,
    now: OffsetDateTime,
    place: Temporary,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl Stage {
    pub async fn open(wanted: &Wanted, ask: &dyn Ask, tell: &Teller) -> Result<Self, Error> {
        let place = Temporary::make(wanted.keeper.clone())?;
        let request = request(wanted, place.dir());
        let setup = prepare::setup(&request)?;
        let project = Project::create(place.dir())?;
        let ground = Ground::find(&setup, place.dir(), ask, tell).await?;
        let psql = Psql::find(ground.binaries()).await;
        let mut prepared = prepare::prepare(&request, &project, Some(ground), tell).await?;
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
        prepared.changes = Some(apply::compare(&project, &artifacts)?);
        let (mut prepared, _) = write(prepared, &project, ask, tell)?;
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
        let files = PsqlFiles {
            home: place.dir().join("home"),
            passfile: place.dir().join(PASSFILE),
        };
        let genuine = [Layout::SERVER_CERT, Layout::SERVER_KEY]
            .iter()
            .filter_map(|path| prepared.plan.get(path).cloned())
            .collect();
        let stage = Self {
            client: match psql {
                Some(psql) => Client::Psql(psql, files),
                None => Client::Own(files),
            },
            live,
            prepared,
            project,
            genuine,
            authority,
            now: wanted.now,
            place,
        };
        stage.furnish().await?;
        Ok(stage)
    }

    pub fn server_in_words(&self) -> String {
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

    fn port(&self) -> u16 {
        self.prepared.found.port
    }

    /// How the client connects; the CA's file is named from `verify-ca` on, as it is in most connection strings.
    pub fn conninfo(&self, sslmode: SslMode) -> Conninfo {
        let conninfo = Conninfo::new()
            .with(Keyword::Host, HOST)
            .with(Keyword::Hostaddr, "127.0.0.1")
            .with(Keyword::Port, self.port().to_string())
            .with(Keyword::Dbname, DATABASE)
            .with(Keyword::User, ROLE)
            .with(Keyword::Sslmode, sslmode.word());
        if matches!(sslmode, SslMode::VerifyCa | SslMode::VerifyFull) {
            return conninfo.with(Keyword::Sslrootcert, self.path("clients/ann/root.crt"));
        }
        conninfo
    }

    /// With the certificate of the role.
    pub fn with_certificate(&self, conninfo: Conninfo) -> Conninfo {
        conninfo
            .with(Keyword::Sslcert, self.path("clients/ann/client.crt"))
            .with(Keyword::Sslkey, self.path("clients/ann/client.key"))
    }

    /// For `engine::modes`: with the file of passwords, which our own client needs named.
    pub fn with_passfile(&self, conninfo: Conninfo) -> Conninfo {
        conninfo.with(Keyword::Passfile, self.path(PASSFILE))
    }

    pub fn path(&self, below: &str) -> String {
        self.place.dir().join(below).to_string_lossy().into_owned()
    }

    pub fn dir(&self) -> &Path {
        self.place.dir()
    }

    /// An impostor that can make any certificate, but has no CA's key.
    pub fn self_signed(&self) -> Result<Disguise, Error> {
        let identity = Authority::self_signed(&[name(HOST)], Algorithm::P256, 1, self.now)?;
        disguise(&identity)
    }

    /// One with a certificate that the same CA issued for another name.
    pub fn wrong_name(&self) -> Result<Disguise, Error> {
        let identity = self
            .authority
            .issue_server(&[name(OTHER_HOST)], Algorithm::P256, 1, self.now)?;
        disguise(&identity)
    }

    pub fn forgery() -> Forgery {
        Forgery {
            from: BALANCE.to_owned(),
            to: FORGED.to_owned(),
        }
    }

    /// A certificate of the lesson's CA for the server's name, issued at another time.
    pub fn certificate(&self, days: u32, from: OffsetDateTime) -> Result<Identity, Error> {
        Ok(self
            .authority
            .issue_server(&[name(HOST)], Algorithm::P256, days, from)?)
    }

    /// A client certificate for the same role, of a CA that the server does not know.
    pub fn foreign_client(&self) -> Result<Identity, Error> {
        let foreign = Authority::create("a thief's own CA", Algorithm::P256, 2, self.now)?;
        Ok(foreign.issue_client(ROLE, Algorithm::P256, 1, self.now)?)
    }

    /// Everything as it was when the lesson began.
    pub async fn reset(&self) -> Result<(), Error> {
        self.put(&self.genuine)?;
        self.rules(Rules::Password).await
    }

    /// Puts rules in force.
    pub async fn rules(&self, rules: Rules) -> Result<(), Error> {
        let planned = self.prepared.plan.get(Layout::HBA).cloned();
        if let Some(planned) = planned {
            let artifact = match rules {
                Rules::Password => with_password_rules(&planned),
                Rules::Certificate => planned,
            };
            self.put(&[artifact])?;
        }
        self.reload().await
    }

    /// Has the server show this certificate from now on.
    pub async fn show(&self, identity: &Identity) -> Result<(), Error> {
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
        self.put(&files)?;
        self.reload().await
    }

    /// The certificate that new connections are shown now.
    pub async fn served(&self) -> Result<Certificate, Error> {
        let failed = |why: String| Error::Database {
            doing: "looking at the certificate that is served".to_owned(),
            why,
        };
        let address = Address::known(HOST, ([127, 0, 0, 1], self.port()).into());
        let deadline = Deadline::after(BRIEF);
        let mut stream = open(&address, deadline).await?;
        match ssl_request(&mut stream, deadline).await {
            Ok(SslAnswer::Accepts) => {}
            _ => return Err(failed("the server offers no TLS".to_owned())),
        }
        let settings = TlsSettings::new(std::sync::Arc::new(NothingVerified));
        let session = handshake(stream, &settings, deadline)
            .await
            .map_err(|failure| failed(failure.to_string()))?;
        let leaf = session
            .facts()
            .presented
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

    /// Writes files of the lesson's own project.
    pub fn put(&self, artifacts: &[Artifact]) -> Result<(), Error> {
        let changes = apply::compare_beside(&self.project, artifacts)?;
        apply::write(&self.project, changes, Policy::KeepCopy)?;
        Ok(())
    }

    /// Makes the table, and the passfile: the ports of the impostors are not known beforehand, so it is for any.
    async fn furnish(&self) -> Result<(), Error> {
        let password = self
            .prepared
            .gathered
            .credentials
            .clients
            .iter()
            .find_map(|client| client.password.as_ref());
        if let Some(password) = password {
            self.put(&[passfile(PASSFILE, password)])?;
        }
        let Some(server) = self.server() else {
            return Ok(());
        };
        let mut session = database::enter_database(server, DATABASE).await?;
        let made = session.query(FURNISH, Deadline::after(BRIEF)).await;
        session.close(Deadline::after(BRIEF)).await;
        made.map_err(|error| Error::Database {
            doing: "making the lesson's table".to_owned(),
            why: error.to_string(),
        })?;
        Ok(())
    }
}

/// How long ago the lesson's CA was made.
const AGE: time::Duration = time::Duration::days(30);

/// Where the passwords of the lesson's client are.
const PASSFILE: &str = "clients/ann/anywhere";

fn request(wanted: &Wanted, dir: &Path) -> Request {
    let text = |text: &str| Some(text.to_owned());
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
            pg_bin: wanted.pg_bin.clone(),
            pg_version: wanted.pg_version.map(i64::from),
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

/// A passfile for every server (<https://www.postgresql.org/docs/current/libpq-pgpass.html>).
pub(super) fn passfile(path: &str, password: &SecretString) -> Artifact {
    let escaped = Zeroizing::new(password.expose_secret().replace('\\', "\\\\").replace(':', "\\:"));
    let line = Zeroizing::new(format!("*:*:*:{ROLE}:{}\n", *escaped));
    secret(path, line.as_bytes().to_vec(), "a password")
}

pub(super) fn secret(path: &str, bytes: Vec<u8>, description: &str) -> Artifact {
    Artifact {
        path: path.into(),
        mode: 0o600,
        content: Content::Secret {
            bytes: Zeroizing::new(bytes),
            description: description.to_owned(),
        },
    }
}

fn name(host: &str) -> HostName {
    HostName::Dns(host.to_owned())
}

fn disguise(identity: &Identity) -> Result<Disguise, Error> {
    Disguise::certificate(identity).map_err(|error| Error::Environment {
        what: format!("an impostor's certificate cannot be used: {error}"),
    })
}
