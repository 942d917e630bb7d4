//! What decided over a refused login, looked up on the server itself: only where a superuser's way in is at hand, since
//! nobody else may read `pg_hba.conf` and the roles' passwords. It adds evidence and never changes a verdict.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::conf::Dialect;
use crate::conf::hba::Rules;
use crate::conf::simulate::{Channel, Connection, Simulator, World};
use crate::dial::{Address, Session};

use super::cause::Cause;
use super::finding::Finding;
use super::report::ProbeId;
use super::run;
use super::target::Target;

/// The rules as the file stands now, and the version that reads them.
const HBA_FILE: &str = "SELECT current_setting('hba_file'), current_setting('server_version_num'), \
    pg_read_file(current_setting('hba_file'), 0, 1048576)";

/// Adds what the server's own files and catalogue say about a refused login. `plaintext`: it was tried without TLS.
pub async fn explain(target: &Target, found: &mut [(ProbeId, Finding, Duration)], plaintext: bool) {
    let Some(admin) = &target.admin else { return };
    let Some((_, finding, _)) = found
        .iter_mut()
        .find(|(id, finding, _)| *id == ProbeId::Authenticated && finding.cause.is_some_and(is_the_servers))
    else {
        return;
    };
    let Ok(mut session) = run::superuser(target, admin).await else {
        return;
    };
    if let Some(line) = deciding_line(target, &mut session, plaintext).await {
        finding.evidence.push(line);
    }
    if finding.cause == Some(Cause::Password)
        && let Some(line) = password(target, &mut session).await
    {
        finding.evidence.push(line);
    }
    session.close(target.deadline()).await;
}

/// Whether `pg_hba.conf` or the catalogue decides about it.
const fn is_the_servers(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::HbaNoEntryPlain
            | Cause::HbaNoEntryTls
            | Cause::HbaReject
            | Cause::Password
            | Cause::ClientRequired
            | Cause::ClientWrongUser
            | Cause::ServerNoCa
    )
}

/// The line of `pg_hba.conf` that decides, as that file stands now: after a failed reload older rules are in force.
async fn deciding_line(target: &Target, session: &mut Session, plaintext: bool) -> Option<String> {
    let rows = session.query(HBA_FILE, target.deadline()).await.ok()?;
    let [Some(file), Some(version), Some(text)] = rows.rows.first()?.as_slice() else {
        return None;
    };
    let path = PathBuf::from(file);
    let major = version.parse::<u32>().ok()? / 10_000;
    let files = BTreeMap::from([(path.clone(), text.clone().into_bytes())]);
    let rules = Rules::load(&path, &files, Dialect::of(u16::try_from(major).ok()?)).ok()?;
    let connection = Connection {
        channel: channel(target, plaintext)?,
        user: target.user.clone(),
        database: target.dbname.clone(),
        replication: false,
    };
    let world = World::default();
    let decision = Simulator::new(rules.rules(), &world).decide(&connection);
    let shown = crate::pki::printable(file);
    if !decision.is_certain() || !rules.is_loadable() {
        return Some(format!("which line of {shown} decides cannot be told from here"));
    }
    Some(match decision.record {
        None => format!("read as superuser: no line of {shown} is for this login"),
        Some(record) => {
            let line = rules.rules().get(record)?.place.line;
            let text = text.lines().nth(line.checked_sub(1)?).unwrap_or_default();
            format!(
                "read as superuser: line {line} of {shown} decides: {}",
                crate::pki::printable(&super::shorten(text.trim(), 160))
            )
        }
    })
}

/// How the server sees us. A superuser's way in is only at hand on this machine, where both ends have one address.
fn channel(target: &Target, plaintext: bool) -> Option<Channel> {
    let Address::Tcp { addresses, .. } = &target.address else {
        return Some(Channel::Socket);
    };
    let ip: IpAddr = addresses.first()?.ip();
    if plaintext {
        return Some(Channel::Plain(ip));
    }
    let shown = target.identity.as_ref().and_then(|identity| identity.leaf());
    let name = shown
        .and_then(|der| crate::pki::Certificate::from_der(der).ok())
        .map(|leaf| leaf.common_name().unwrap_or_default().to_owned());
    Some(Channel::Tls(ip, name))
}

/// What the catalogue says of the role's password; never the password.
async fn password(target: &Target, session: &mut Session) -> Option<String> {
    let role = target.user.replace('\'', "''");
    let sql = format!(
        "SELECT rolpassword IS NULL, coalesce(rolpassword LIKE 'md5%', false), coalesce(rolvaliduntil < now(), false) \
         FROM pg_authid WHERE rolname = '{role}'"
    );
    let rows = session.query(&sql, target.deadline()).await.ok()?;
    let shown = crate::pki::printable(&target.user);
    let Some(row) = rows.rows.first() else {
        return Some(format!("read as superuser: there is no role {shown}"));
    };
    let is = |at: usize| row.get(at).and_then(Option::as_deref) == Some("t");
    if is(0) {
        Some(format!("read as superuser: role {shown} has no password"))
    } else if is(2) {
        Some(format!(
            "read as superuser: the password of role {shown} has run out (VALID UNTIL)"
        ))
    } else if is(1) {
        Some(format!(
            "read as superuser: role {shown} has an MD5 password, which scram-sha-256 cannot use"
        ))
    } else {
        None
    }
}
