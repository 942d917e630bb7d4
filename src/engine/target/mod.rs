//! From a connection string and the files it names to something that can be proven.

mod client;
mod identity;
mod root;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use time::OffsetDateTime;

use crate::apply::live::Live;
use crate::conninfo::{Conninfo, Environment, Keyword, SslMode, resolve_with_default};
use crate::dial::{Address, ClientIdentity, Deadline, open};
use crate::judge::TrustStore;
use crate::pki::{Algorithm, Authority, Certificate, Identity};
use crate::plan::{Kit, Layout};
use crate::setup::{Mode, Run, Setup};
use crate::verify::{Admin, Cause, Client, Place, Server, Target};

use super::{Error, Ground, files, prepare};

/// With which means a connection string is to be proven.
#[derive(Debug, Clone)]
pub struct Means {
    /// Which promises; `None`: from the project, else by whether a client certificate is in use.
    pub expect: Option<Mode>,
    /// A certificate and key of the same CA for another name.
    pub other: Option<(PathBuf, PathBuf)>,
    /// The project directory, where its CA and its sandbox may help.
    pub dir: PathBuf,
    /// A superuser's own connection string to the same server, to look up what only that one may see.
    pub admin: Option<Conninfo>,
    /// Passphrase of an encrypted key.
    pub key_passphrase: Option<SecretString>,
    /// How long one probe may take.
    pub timeout: Duration,
    /// The time.
    pub now: OffsetDateTime,
}

/// The connection string of a project's kit; `name` picks one of several.
pub fn kit(dir: &Path, name: Option<&str>) -> Result<(Setup, Kit, Conninfo), Error> {
    let setup = prepare::project(dir)?;
    let absolute = prepare::absolute(dir);
    let kits = prepare::kits(&setup, &absolute);
    let kit = match name {
        None => kits.first(),
        Some(name) => kits.iter().find(|kit| kit.name == name),
    };
    let Some(kit) = kit.cloned() else {
        let names: Vec<_> = kits.iter().map(|kit| kit.name.as_str()).collect();
        return Err(Error::DoesNotFit {
            what: format!("there is no client {} here", name.unwrap_or_default()),
            remedy: format!("name one of: {}", names.join(", ")),
        });
    };
    let port = setup.port.unwrap_or(5432);
    let conninfo = kit.conninfo(&setup, &absolute, port);
    Ok((setup, kit, conninfo))
}

/// Reads what a connection string names, and adds what the project has to help with every probe.
pub async fn target(conninfo: Conninfo, env: &Environment, means: &Means) -> Result<Target, Error> {
    let mut target = caller(conninfo, env, means).await?;
    if let Some((setup, admin)) = ours(means, &target.address) {
        if means.expect.is_none() {
            target.expect = setup.mode;
            if let Some(in_force) = super::harden::in_force(&prepare::absolute(&means.dir), &setup) {
                target.expect = in_force.expect;
                target.spared = Some(in_force.spared);
                target.by_socket = comes_by_socket(&prepare::absolute(&means.dir), &target.user);
            }
        }
        target.admin = target.admin.or(admin);
        target.inside = (setup.run == Run::Compose)
            .then(|| super::ground::inside(&prepare::absolute(&means.dir)))
            .flatten();
    }
    target.other = other(means, target.identity.as_ref())?;
    Ok(target)
}

/// The same for a connection alone, for which no project is read.
pub async fn caller(conninfo: Conninfo, env: &Environment, means: &Means) -> Result<Target, Error> {
    let resolved = resolve_with_default(conninfo, env, SslMode::VerifyFull)?;
    // While a name is being looked up the files are read.
    let servers = client::servers(&resolved);
    let (chosen, client) = tokio::join!(choose(&servers, means), async {
        client::client(&resolved, means.key_passphrase.as_ref())
    });
    let (server, address) = chosen?;
    let (trust, trust_file) = trust(&client);
    let shown = client.identity.as_ref().ok().and_then(Option::as_ref);
    Ok(Target {
        host: server.label.clone(),
        server: server.clone(),
        user: client.user.clone(),
        dbname: client.dbname.clone(),
        password: server.password.clone(),
        sslmode: checked(&client),
        trust,
        trust_file,
        other: None,
        identity: shown.cloned(),
        expect: means
            .expect
            .unwrap_or(if shown.is_some() { Mode::Mtls } else { Mode::OneWay }),
        admin: match &means.admin {
            Some(own) => Some(Admin::Login(Box::new(own_way_in(own, env, means).await?))),
            None => None,
        },
        inside: None,
        spared: None,
        by_socket: false,
        timeout: means.timeout,
        now: means.now,
        address,
        client,
    })
}

/// A superuser's way into the server of a [`caller`]: the one that was given, else the project's own.
#[must_use]
pub fn superuser_of(target: &Target, means: &Means) -> Option<Admin> {
    let own = || ours(means, &target.address)?.1;
    target.admin.clone().or_else(own)
}

/// The servers of a connection string, before any of them is looked up or dialled.
pub(super) fn servers(
    conninfo: Conninfo,
    env: &Environment,
    key_passphrase: Option<&SecretString>,
) -> Result<Vec<Server>, Error> {
    let resolved = resolve_with_default(conninfo, env, SslMode::VerifyFull)?;
    Ok(client::client(&resolved, key_passphrase).servers)
}

/// What `--admin` leads to.
async fn own_way_in(conninfo: &Conninfo, env: &Environment, means: &Means) -> Result<Target, Error> {
    let means = Means {
        admin: None,
        other: None,
        ..means.clone()
    };
    Box::pin(caller(conninfo.clone(), env, &means)).await
}

/// The key that is encrypted and for which the conninfo has no passphrase: somebody might know it.
#[must_use]
pub fn locked_key(conninfo: Conninfo, env: &Environment) -> Option<PathBuf> {
    let resolved = resolve_with_default(conninfo, env, SslMode::VerifyFull).ok()?;
    if !identity::may_be_locked(&resolved) {
        return None;
    }
    identity::read(&resolved, None)
        .err()
        .filter(|fault| fault.cause == Cause::KeyPassphrase && resolved.sslpassword.is_none())
        .map(|fault| fault.file)
}

/// The server that the probes are about: the first that answers, else the first. A name without an address stays one
/// to be told of.
async fn choose<'a>(servers: &'a [Server], means: &Means) -> Result<(&'a Server, Address), Error> {
    let mut first = None;
    for server in servers {
        let deadline = Deadline::after(means.timeout);
        let address = match &server.place {
            Place::Socket(path) => Address::Unix(path.clone()),
            Place::Address(address) => Address::known(&server.label, *address),
            Place::Fault(_) => continue,
            Place::Name(name, port) => match Address::resolve(name, *port, deadline).await {
                Ok(address) => address,
                Err(_) => Address::Tcp {
                    host: name.clone(),
                    addresses: Vec::new(),
                },
            },
        };
        if servers.len() == 1 || open(&address, deadline).await.is_ok() {
            return Ok((server, address));
        }
        first.get_or_insert((server, address));
    }
    first.ok_or_else(|| Error::NoProject(means.dir.clone()))
}

/// What libpq checks under this `sslmode`: with a root file, `require` judges the chain too.
fn checked(client: &Client) -> SslMode {
    match (client.sslmode, &client.root) {
        (SslMode::Require, Ok(Some(_))) => SslMode::VerifyCa,
        (sslmode, _) => sslmode,
    }
}

/// The roots; without any nothing is trusted, and the words say why there are none.
fn trust(client: &Client) -> (Arc<TrustStore>, String) {
    match &client.root {
        Ok(Some(root)) => (Arc::clone(&root.store), root.from.clone()),
        Ok(None) => (
            Arc::default(),
            "no root certificate file at all (set sslrootcert)".to_owned(),
        ),
        Err(fault) => (Arc::default(), fault.why.clone()),
    }
}

fn pair(
    what: &'static str,
    certificate: &Path,
    chain: &[u8],
    key: &Path,
    passphrase: Option<&SecretString>,
) -> Result<Identity, Error> {
    let key_pem = files::must_read("the client key (sslkey)", key)?;
    Identity::load(chain, &key_pem, passphrase).map_err(|error| Error::File {
        what,
        path: certificate.to_path_buf(),
        why: error.to_string(),
        remedy: "give a certificate in PEM and the key that belongs to it".to_owned(),
    })
}

fn dialled(identity: &Identity) -> Option<ClientIdentity> {
    ClientIdentity::from_pki(identity).ok()
}

/// A certificate of the same CA for another name: given, or made where the project's CA has its key.
fn other(means: &Means, shown: Option<&ClientIdentity>) -> Result<Option<ClientIdentity>, Error> {
    if let Some((certificate, key)) = &means.other {
        let what = "the certificate for another name (--other-cert, --other-key)";
        let chain = files::must_read(what, certificate)?;
        return Ok(dialled(&pair(
            what,
            certificate,
            &chain,
            key,
            means.key_passphrase.as_ref(),
        )?));
    }
    let leaf = shown
        .and_then(ClientIdentity::leaf)
        .and_then(|der| Certificate::from_der(der).ok());
    let Some(leaf) = leaf else { return Ok(None) };
    let read = |path: &str| files::read("the CA", &means.dir.join(path)).ok().flatten();
    let (Some(certificate), Some(key)) = (read(Layout::CA_CERT), read(Layout::CA_KEY)) else {
        return Ok(None);
    };
    let Ok(authority) = Authority::load(&certificate, &key, means.key_passphrase.as_ref(), means.now) else {
        return Ok(None);
    };
    if !leaf.is_signed_by(authority.certificate()) {
        return Ok(None);
    }
    let made = authority.issue_client("somebody else", Algorithm::P256, 1, means.now);
    Ok(made.ok().as_ref().and_then(dialled))
}

/// Whether the server of this kit was last hardened by that role over its socket.
fn comes_by_socket(dir: &Path, role: &str) -> bool {
    let way = Live::of(dir).way().ok().flatten();
    let way = way.and_then(|way| Conninfo::parse(&way.conninfo).ok());
    way.is_some_and(|way| {
        way.get(Keyword::Hostaddr).is_none()
            && way
                .get(Keyword::Host)
                .is_none_or(|host| host.starts_with(['/', '@']))
            && way.get(Keyword::User).is_none_or(|user| user == role)
    })
}

/// The project in the directory, if the connection goes to its own server.
fn ours(means: &Means, address: &Address) -> Option<(Setup, Option<Admin>)> {
    let setup = prepare::project(&means.dir).ok()?;
    let Address::Tcp { host, addresses } = address else {
        return None;
    };
    // A server that is hardened from here is known by its name elsewhere too.
    let is_named = || {
        prepare::is_beside_a_server(&setup, &prepare::absolute(&means.dir))
            && setup.hosts.iter().any(|known| known.to_string() == *host)
    };
    if !addresses
        .iter()
        .any(|address| Some(address.port()) == setup.port && (address.ip().is_loopback() || is_named()))
    {
        return None;
    }
    // Only the place of a sandbox is asked for: looking for programs would take longer than the connection itself.
    let ground = (setup.run == Run::Sandbox)
        .then(|| Ground::left(&prepare::absolute(&means.dir)))
        .flatten();
    let admin = ground
        .zip(setup.port)
        .and_then(|(ground, port)| ground.admin(port));
    Some((setup, admin))
}
