//! From a connection string and the files it names to something that can be proven.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use time::OffsetDateTime;

use crate::conninfo::{
    Conninfo, Endpoint, Environment, Host, Resolved, RootCert, SslMode, resolve_with_default,
};
use crate::dial::{Address, ClientIdentity, Deadline};
use crate::judge::TrustStore;
use crate::pki::{Algorithm, Authority, Certificate, Identity};
use crate::plan::{Kit, Layout};
use crate::server::{Places, Sandbox, Status};
use crate::setup::{Mode, Setup};
use crate::verify::{Admin, Target, client_identity};

use super::{Error, database, files, prepare};

/// With which means a connection string is to be proven.
#[derive(Debug, Clone)]
pub struct Means {
    /// Which promises; `None`: from the project, else by whether a client certificate is in use.
    pub expect: Option<Mode>,
    /// A certificate and key of the same CA for another name.
    pub other: Option<(PathBuf, PathBuf)>,
    /// The project directory, where its CA and its sandbox may help.
    pub dir: PathBuf,
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
    let kits = Kit::all(&setup);
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
    let absolute = prepare::absolute(dir);
    let port = setup.port.unwrap_or(5432);
    let conninfo = kit.conninfo(&setup, &absolute, port);
    Ok((setup, kit, conninfo))
}

/// Reads what a connection string names, and adds what the project has to help.
pub async fn target(conninfo: Conninfo, env: &Environment, means: &Means) -> Result<Target, Error> {
    let resolved = resolve_with_default(conninfo, env, SslMode::VerifyFull)?;
    let host = resolved
        .hosts
        .first()
        .ok_or(Error::NoProject(means.dir.clone()))?;
    let address = address(host, Deadline::after(means.timeout)).await?;
    let (trust, trust_file) = trust(&resolved)?;
    let identity = identity(&resolved, means)?;
    let ours = ours(means, &address);
    let expect = means
        .expect
        .or(ours.as_ref().map(|(setup, _)| setup.mode))
        .unwrap_or({
            if identity.is_some() {
                Mode::Mtls
            } else {
                Mode::OneWay
            }
        });
    let admin = ours.and_then(|(_, admin)| admin);
    Ok(Target {
        host: host.label().to_owned(),
        address,
        user: resolved.user.clone(),
        dbname: resolved.dbname.clone(),
        password: resolved.password_for(host).cloned(),
        sslmode: checked(&resolved),
        trust,
        trust_file,
        other: other(means, identity.as_ref())?,
        identity: identity.as_ref().and_then(dialled),
        expect,
        admin,
        timeout: means.timeout,
        now: means.now,
    })
}

/// What libpq checks under this `sslmode`: with a root file, `require` judges the chain too.
fn checked(resolved: &Resolved) -> SslMode {
    let has_root = match &resolved.sslrootcert {
        RootCert::System => true,
        RootCert::File(located) => located.path().is_some_and(|path| path.exists()),
    };
    if resolved.sslmode == SslMode::Require && has_root {
        SslMode::VerifyCa
    } else {
        resolved.sslmode
    }
}

async fn address(host: &Host, deadline: Deadline) -> Result<Address, Error> {
    Ok(match host.endpoint() {
        Endpoint::Socket(directory) => Address::unix(&directory, host.port),
        Endpoint::Name(name) => Address::resolve(name, host.port, deadline).await?,
        Endpoint::Address(ip) => Address::known(host.label(), std::net::SocketAddr::new(ip.ip, host.port)),
    })
}

fn trust(resolved: &Resolved) -> Result<(Arc<TrustStore>, String), Error> {
    let (certificates, name) = match &resolved.sslrootcert {
        RootCert::System => {
            let system = rustls_native_certs::load_native_certs();
            (
                system.certs.into_iter().map(|der| der.to_vec()).collect(),
                "the system's roots".to_owned(),
            )
        }
        RootCert::File(located) => match located.path() {
            None => (
                Vec::new(),
                "no root certificate file at all (set sslrootcert)".to_owned(),
            ),
            Some(path) => match files::read("the root certificate file (sslrootcert)", path)? {
                None => (
                    Vec::new(),
                    format!("{}, which does not exist (set sslrootcert)", path.display()),
                ),
                Some(pem) => (read_roots(path, &pem)?, path.display().to_string()),
            },
        },
    };
    let store = TrustStore::new(&certificates, &[]).map_err(|error| Error::File {
        what: "the root certificate file (sslrootcert)",
        path: PathBuf::from(&name),
        why: error.to_string(),
        remedy: "give the root certificate of the server's CA, in PEM".to_owned(),
    })?;
    Ok((Arc::new(store), name))
}

fn read_roots(path: &Path, pem: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let roots = Certificate::from_pem(pem).map_err(|error| Error::File {
        what: "the root certificate file (sslrootcert)",
        path: path.to_path_buf(),
        why: error.to_string(),
        remedy: "give the root certificate of the server's CA, in PEM".to_owned(),
    })?;
    Ok(roots.iter().map(|root| root.der().to_vec()).collect())
}

/// The client certificate: where it is only the default place that names one, a missing file is none.
fn identity(resolved: &Resolved, means: &Means) -> Result<Option<Identity>, Error> {
    let (Some(certificate), Some(key)) = (resolved.sslcert.path(), resolved.sslkey.path()) else {
        return Ok(None);
    };
    let Some(chain) = files::read("the client certificate (sslcert)", certificate)? else {
        return Ok(None);
    };
    let passphrase = resolved.sslpassword.as_ref().or(means.key_passphrase.as_ref());
    pair(
        "the client certificate and key (sslcert, sslkey)",
        certificate,
        &chain,
        key,
        passphrase,
    )
    .map(Some)
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
    client_identity(identity).ok()
}

/// A certificate of the same CA for another name: given, or made where the project's CA has its key.
fn other(means: &Means, identity: Option<&Identity>) -> Result<Option<ClientIdentity>, Error> {
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
    let Some(identity) = identity else { return Ok(None) };
    let read = |path: &str| files::read("the CA", &means.dir.join(path)).ok().flatten();
    let (Some(certificate), Some(key)) = (read(Layout::CA_CERT), read(Layout::CA_KEY)) else {
        return Ok(None);
    };
    let Ok(authority) = Authority::load(&certificate, &key, means.key_passphrase.as_ref(), means.now) else {
        return Ok(None);
    };
    if !identity.leaf().is_signed_by(authority.certificate()) {
        return Ok(None);
    }
    let made = authority.issue_client("somebody else", Algorithm::P256, 1, means.now);
    Ok(made.ok().as_ref().and_then(dialled))
}

/// The project in the directory, if the connection goes to its own server.
fn ours(means: &Means, address: &Address) -> Option<(Setup, Option<Admin>)> {
    let setup = prepare::project(&means.dir).ok()?;
    let Address::Tcp { addresses, .. } = address else {
        return None;
    };
    if !addresses
        .iter()
        .any(|address| Some(address.port()) == setup.port && address.ip().is_loopback())
    {
        return None;
    }
    let sandbox = Sandbox::locate(&means.dir, &Places::of_this_machine()).ok();
    let admin = sandbox.and_then(|sandbox| match sandbox.status() {
        // While `up` proves what it started, nobody answers for the server yet.
        Status::Running(server) | Status::Leftover(server) if Some(server.port) == setup.port => {
            Some(database::admin(&server))
        }
        _ => None,
    });
    Some((setup, admin))
}
