//! Grading a running server: a login as psql would get it, a look from outside, the files within reach, the clients' code.
//! Nothing is changed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::audit::{self, Audit, Facts, Reading, Served};
use crate::conf::{Files, Unreadable};
use crate::conninfo::{Conninfo, Environment, Keyword};
use crate::dial::{Address, Deadline, NothingVerified, SslAnswer, TlsSettings, handshake, open, ssl_request};
use crate::judge::{Cause, Purpose, judge_chain, judge_name};
use crate::pki::Certificate;
use crate::verify::{self, Entry, OverSql, Target};

use super::own_files::are_theirs;
use super::{Error, Means, login, target};

/// What is to be looked at beside the server.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// The directory with the server's `postgresql.conf`, on this machine.
    pub config_dir: Option<PathBuf>,
    /// A tree with the code of its clients.
    pub clients: Option<PathBuf>,
}

/// Grades the server of a connection string.
///
/// Where neither the string nor the environment names an `sslmode`, it is psql's own, `prefer`, so that a server without
/// TLS can be graded too; the password itself is then never sent as it is (`require_auth=!password`).
pub async fn grade(
    mut conninfo: Conninfo,
    env: &Environment,
    means: &Means,
    beside: &Beside,
) -> Result<Audit, Error> {
    as_psql(&mut conninfo, env);
    let config_dir = beside.config_dir.as_deref().map(super::absolute);
    if let Some(directory) = config_dir.as_deref().filter(|directory| !directory.is_dir()) {
        return Err(Error::File {
            what: "the directory of the configuration (--config-dir)",
            path: directory.to_path_buf(),
            why: "there is no such directory".to_owned(),
            remedy: "name the one with postgresql.conf and pg_hba.conf".to_owned(),
        });
    }
    let code = beside.clients.as_deref().map(super::tree::code).transpose()?;
    let target = target(conninfo, env, means).await?;
    let mut facts = Facts::new(target.host.clone(), means.now);
    look(&mut facts, &target).await;
    match verify::enter_as_admin(&target).await {
        Ok(Entry { mut session, .. }) => {
            facts.server.tls = session
                .tls()
                .map(|tls| format!("{}, {}", tls.protocol, tls.cipher));
            let disk = config_dir
                .as_deref()
                .map(|directory| (&Disk as &dyn Reading, directory));
            let limit = || Deadline::after(means.timeout);
            if let Some(directory) = &config_dir {
                let known = are_theirs(&mut OverSql::new(&mut session, &limit), directory).await?;
                if !known {
                    facts.doubt_files(directory);
                }
            }
            // Of a server of our own the superuser's socket shows all.
            let own = match &target.admin {
                Some(admin) => verify::superuser(&target, admin).await.ok(),
                None => None,
            };
            match own {
                Some(mut own) => {
                    audit::ask(&mut facts, &mut own, disk, limit).await;
                    own.close(limit()).await;
                }
                None => audit::ask(&mut facts, &mut session, disk, limit).await,
            }
            session.close(Deadline::after(means.timeout)).await;
        }
        Err(refused) => {
            let why = login::in_words(&refused, &target);
            facts.miss("everything that the server says of itself", why);
        }
    }
    Ok(audit::grade(facts, code.as_deref()))
}

/// Where neither the string nor the environment names an `sslmode`: psql's own, `prefer`, and never a password in clear.
pub(super) fn as_psql(conninfo: &mut Conninfo, env: &Environment) {
    let says = |keyword: Keyword, variable: &str| {
        conninfo.get(keyword).is_some() || env.variables.contains_key(std::ffi::OsStr::new(variable))
    };
    let (has_mode, has_auth) = (
        says(Keyword::Sslmode, "PGSSLMODE"),
        says(Keyword::RequireAuth, "PGREQUIREAUTH"),
    );
    if !has_mode && conninfo.get(Keyword::Service).is_none() {
        conninfo.set(Keyword::Sslmode, "prefer");
        if !has_auth {
            conninfo.set(Keyword::RequireAuth, "!password");
        }
    }
}

/// What the server shows to anybody. Beside a socket the same port of this machine is looked at.
async fn look(facts: &mut Facts, target: &Target) {
    const WHAT: &str = "the certificate that is served";
    let deadline = || Deadline::after(target.timeout);
    let (address, name) = match &target.address {
        Address::Unix(path) => {
            // A name that was mistyped is not taken for whatever else listens on that port.
            if let Err(error) = open(&target.address, deadline()).await {
                return facts.miss(WHAT, error.to_string());
            }
            let Some(port) = Address::port_of_socket(path) else {
                return facts.miss(WHAT, "a Unix socket shows none: dial a host name or address");
            };
            let here = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
            (Address::known("127.0.0.1", here), None)
        }
        tcp @ Address::Tcp { .. } => (tcp.clone(), Some(target.host.as_str())),
    };
    let mut stream = match open(&address, deadline()).await {
        Ok(stream) => stream,
        Err(error) => return facts.miss(WHAT, error.to_string()),
    };
    match ssl_request(&mut stream, deadline()).await {
        Ok(SslAnswer::Accepts) => {}
        Ok(SslAnswer::Refuses) => return facts.miss(WHAT, "the server offers no TLS"),
        Ok(_) => return facts.miss(WHAT, "the server does not answer the request for TLS"),
        Err(error) => return facts.miss(WHAT, error.to_string()),
    }
    let mut settings = TlsSettings::new(Arc::new(NothingVerified));
    if let Some(name) = name {
        settings = settings.with_sni_for(name);
    }
    let presented = match handshake(stream, &settings, deadline()).await {
        Ok(session) => session.facts().presented.clone(),
        Err(failure) if !failure.presented.is_empty() => failure.presented,
        Err(failure) => return facts.miss(WHAT, failure.fault.to_string()),
    };
    let mut chain = presented.iter().map(|der| Certificate::from_der(der).ok());
    let Some(leaf) = chain.next().flatten() else {
        return facts.miss(
            WHAT,
            "what the server presents is no certificate that can be read",
        );
    };
    facts.server.certificate_days_left = Some(leaf.days_left(facts.now));
    facts.served = Some(Served {
        carries_name: name.map(|name| {
            judge_name(leaf.der(), name)
                .map(drop)
                .map_err(|why| why.to_string())
        }),
        leads: (!target.trust.is_empty()).then(|| {
            let judged = judge_chain(&presented, &target.trust, Purpose::Server, facts.now);
            // Other faults are no fault of what is sent, or are found by themselves.
            let leads = judged
                .err()
                .is_none_or(|refusal| refusal.cause != Cause::UntrustedIssuer);
            (target.trust_file.clone(), leads)
        }),
        others: chain.flatten().collect(),
        leaf,
    });
}

/// The server's files, where they are on this machine.
pub(super) struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<Vec<u8>, Unreadable> {
        // A pg_hba.conf that a machine writes has a hundred thousand lines.
        const LARGEST: u64 = 64 << 20;
        match super::files::read_bounded("the server's file", path, LARGEST) {
            Ok(Some(bytes)) => Ok(bytes.to_vec()),
            Ok(None) => Err(Unreadable::Missing),
            Err(error) => Err(Unreadable::Refused(error.to_string())),
        }
    }

    fn list(&self, directory: &Path) -> Result<Vec<Vec<u8>>, Unreadable> {
        let entries = std::fs::read_dir(directory).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Unreadable::Missing,
            _ => Unreadable::Refused(crate::server::words(&error)),
        })?;
        Ok(entries
            .flatten()
            .filter(|entry| !entry.path().is_dir())
            .map(|entry| entry.file_name().into_encoded_bytes())
            .collect())
    }
}

impl Reading for Disk {
    fn owner(&self, path: &Path) -> Option<(u32, u32)> {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.permissions().mode() & 0o777, meta.uid()))
    }
}
