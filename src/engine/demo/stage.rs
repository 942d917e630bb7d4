//! The stage: a server with one table in it, its client, and what the impostors show.

use std::net::SocketAddr;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use secrecy::SecretString;
use time::OffsetDateTime;

use super::client::Client;
use super::guest::{self, Guest};
use super::own::{self, Own};
use super::place::{Place, ROOT};
use super::{Playground, Wanted};
use crate::conninfo::{Conninfo, Keyword, SslMode};
use crate::dial::{Address, Credentials, Deadline, Disguise, Forgery, Link, Session, login, open};
use crate::engine::up::Ask;
use crate::engine::{Error, Teller};
use crate::pki::{Algorithm, Authority, HostName, Identity};

/// The name under which the server is dialled (RFC 2606); its address is loopback's.
pub(super) const HOST: &str = "db.bank.example";
/// The name in the certificate of the same CA that an impostor has got hold of.
pub(super) const OTHER_HOST: &str = "mail.bank.example";
/// What is asked.
pub(super) const QUERY: &str = "SELECT balance FROM accounts WHERE owner = 'ann'";
/// What is true.
pub(super) const BALANCE: &str = "4217";
/// What the impostor makes of it.
pub(super) const FORGED: &str = "13";

/// What the server is told at the beginning.
pub(super) const FURNISH: &str = "\
CREATE TABLE accounts (owner text PRIMARY KEY, balance int NOT NULL);
INSERT INTO accounts VALUES ('ann', 4217), ('bob', 38)";

/// The longest that a small question may take.
pub(super) const BRIEF: Duration = Duration::from_secs(20);

/// The fields are dropped in their order: the server ends before its place does.
pub(super) struct Stage {
    site: Site,
    pub client: Client,
    authority: Authority,
    now: OffsetDateTime,
    pub place: Place,
}

/// Where the server is from.
enum Site {
    /// It is the lesson's own.
    Own(Box<Own>),
    /// It is the person's.
    Theirs(Box<Guest>),
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
        let mut place = Place::make(wanted.keeper.clone())?;
        let (set, still_there) = match &wanted.playground {
            Playground::Own(_) => {
                let started = Own::start(wanted, &place, ask, tell).await;
                let set = started.map(|(own, authority, psql)| (Site::Own(Box::new(own)), authority, psql));
                (set, own::STILL_THERE)
            }
            Playground::Yours(yours) => {
                let entered = Guest::enter(yours, wanted.now, &mut place, tell).await;
                let set =
                    entered.map(|(guest, authority, psql)| (Site::Theirs(Box::new(guest)), authority, psql));
                (set, guest::STILL_THERE)
            }
        };
        let (site, authority, psql) = match set {
            Ok(set) => set,
            Err(error) => {
                if !place.close() {
                    tell.notice(still_there);
                }
                return Err(error);
            }
        };
        let files = place.files_of_psql();
        Ok(Self {
            client: match psql {
                Some(psql) => Client::Psql(psql, files),
                None => Client::Own(files),
            },
            site,
            authority,
            now: wanted.now,
            place,
        })
    }

    /// Strikes it; what could not be removed, in words.
    pub async fn close(self) -> Option<String> {
        let left = match self.site {
            Site::Own(own) => Some(own.left_in_words()),
            Site::Theirs(guest) => Some(guest.leave().await),
        };
        let place = self.place;
        let closed = tokio::task::spawn_blocking(|| place.close()).await;
        left.filter(|_| !closed.unwrap_or(false))
    }

    pub fn server_in_words(&self) -> String {
        match &self.site {
            Site::Own(own) => own.in_words(),
            Site::Theirs(guest) => guest.in_words(),
        }
    }

    /// The lesson's own server, which may be changed; else the person's.
    pub fn own(&self) -> Option<&Own> {
        match &self.site {
            Site::Own(own) => Some(own),
            Site::Theirs(_) => None,
        }
    }

    /// The person's server.
    pub fn guest(&self) -> Option<&Guest> {
        match &self.site {
            Site::Own(_) => None,
            Site::Theirs(guest) => Some(guest),
        }
    }

    /// The name under which the server is dialled.
    pub fn host(&self) -> &str {
        self.guest().map_or(HOST, Guest::host)
    }

    fn address(&self, sslmode: SslMode) -> SocketAddr {
        match &self.site {
            Site::Own(own) => own.address(),
            Site::Theirs(guest) => guest.address(sslmode),
        }
    }

    /// How the client connects; the CA's file is named from `verify-ca` on, as it is in most connection strings.
    pub fn conninfo(&self, sslmode: SslMode) -> Conninfo {
        let address = self.address(sslmode);
        let (role, database) = match &self.site {
            Site::Own(_) => (own::ROLE, own::DATABASE),
            Site::Theirs(guest) => (guest.name(), guest.name()),
        };
        let conninfo = Conninfo::new()
            .with(Keyword::Host, self.host())
            .with(Keyword::Hostaddr, address.ip().to_string())
            .with(Keyword::Port, address.port().to_string())
            .with(Keyword::Dbname, database)
            .with(Keyword::User, role)
            .with(Keyword::Sslmode, sslmode.word());
        if matches!(sslmode, SslMode::VerifyCa | SslMode::VerifyFull) {
            return conninfo.with(Keyword::Sslrootcert, self.place.path(ROOT));
        }
        conninfo
    }

    /// With the certificate of the role.
    pub fn with_certificate(&self, conninfo: Conninfo) -> Conninfo {
        conninfo
            .with(Keyword::Sslcert, self.place.path("clients/ann/client.crt"))
            .with(Keyword::Sslkey, self.place.path("clients/ann/client.key"))
    }

    /// For `engine::modes`: with the file of passwords, which our own client needs named.
    pub fn with_passfile(&self, conninfo: Conninfo) -> Conninfo {
        conninfo.with(Keyword::Passfile, self.place.passfile())
    }

    /// An impostor that can make any certificate, but has no CA's key.
    pub fn self_signed(&self) -> Result<Disguise, Error> {
        let identity = Authority::self_signed(&[name(self.host())?], Algorithm::P256, 1, self.now)?;
        disguise(&identity)
    }

    /// One with a certificate that the same CA issued for another name.
    pub fn wrong_name(&self) -> Result<Disguise, Error> {
        let identity = self
            .authority
            .issue_server(&[name(OTHER_HOST)?], Algorithm::P256, 1, self.now)?;
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
            .issue_server(&[name(HOST)?], Algorithm::P256, days, from)?)
    }

    /// A client certificate for the same role, of a CA that the server does not know.
    pub fn foreign_client(&self) -> Result<Identity, Error> {
        let foreign = Authority::create("an impostor's own CA", Algorithm::P256, 2, self.now)?;
        Ok(foreign.issue_client(own::ROLE, Algorithm::P256, 1, self.now)?)
    }

    /// A client certificate of the CA that the server knows, for another role.
    pub fn other_client(&self) -> Result<Identity, Error> {
        Ok(self
            .authority
            .issue_client(own::OTHER_ROLE, Algorithm::P256, 1, self.now)?)
    }

    /// Everything as it was when the lesson began. Of a person's server nothing was changed.
    pub async fn reset(&self) -> Result<(), Error> {
        match &self.site {
            Site::Own(own) => own.reset(&self.place).await,
            Site::Theirs(_) => Ok(()),
        }
    }
}

/// Logs in to the lesson's database over whatever TLS is offered; gives the chain that was presented, none without TLS.
pub(super) async fn log_in(
    address: SocketAddr,
    role: &str,
    database: &str,
    password: &SecretString,
) -> Result<(Session, Vec<CertificateDer<'static>>), String> {
    let deadline = Deadline::after(BRIEF);
    let place = Address::known(&address.ip().to_string(), address);
    let stream = open(&place, deadline).await.map_err(|error| error.to_string())?;
    let link = Link::offered(stream, deadline).await?;
    let presented = link.presented().to_vec();
    let credentials = Credentials::new(role, database).with_password(password);
    let session = login(link, &credentials, deadline)
        .await
        .map_err(|failure| failure.to_string())?;
    Ok((session, presented))
}

/// A name that a certificate can carry.
pub(super) fn name(host: &str) -> Result<HostName, Error> {
    host.parse().map_err(|error| Error::Environment {
        what: format!(
            "no impostor can have a certificate for {}: {error}",
            crate::pki::printable(host)
        ),
    })
}

fn disguise(identity: &Identity) -> Result<Disguise, Error> {
    Disguise::certificate(identity).map_err(|error| Error::Environment {
        what: format!("an impostor's certificate cannot be used: {error}"),
    })
}
