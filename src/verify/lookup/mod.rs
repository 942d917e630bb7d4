//! What decided over a refused login, looked up on the server itself: only where a superuser's way in is at hand, since
//! nobody else may read its log, `pg_hba.conf` and the roles' passwords. It adds evidence and never changes a verdict.
//!
//! The log comes first: it tells the line that did decide. Without it the rules are read and asked as they stand now.

mod arrivals;
mod hba;
mod log;

use std::time::Duration;

use super::cause::Cause;
use super::finding::Finding;
use super::over_sql::OverSql;
use super::report::ProbeId;
use super::run;
use super::target::{Admin, Target};

#[cfg(test)]
pub use arrivals::TlsArrival;
pub use arrivals::{Arrival, Arrivals, Origin};
pub use log::{Entry, Log};

/// The connection that was refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tried {
    /// It was without TLS.
    pub plaintext: bool,
    /// Our port, by which the server's log calls it.
    pub port: Option<u16>,
}

/// Adds what the server's own log, files and catalogue say about a refused login.
pub async fn explain(
    target: &Target,
    admin: &Admin,
    found: &mut [(ProbeId, Finding, Duration)],
    tried: Tried,
) {
    let Some((finding, cause)) = found.iter_mut().find_map(|(_, finding, _)| {
        let cause = finding.cause.filter(|cause| Kind::of(*cause).is_some())?;
        Some((finding, cause))
    }) else {
        return;
    };
    let mut session = match run::superuser(target, admin).await {
        Ok(session) => session,
        Err(why) => {
            if let Admin::Login(_) = admin {
                finding.evidence.push(format!(
                    "nothing could be looked up: the login of --admin failed: {why}"
                ));
            }
            return;
        }
    };
    let deadline = || target.deadline();
    let more = look(
        target,
        admin,
        &mut OverSql::new(&mut session, &deadline),
        finding,
        cause,
        tried,
    )
    .await;
    finding.evidence.extend(more);
    session.close(target.deadline()).await;
}

async fn look(
    target: &Target,
    admin: &Admin,
    sql: &mut OverSql<'_>,
    finding: &Finding,
    cause: Cause,
    tried: Tried,
) -> Vec<String> {
    let told = finding.evidence.clone();
    let kind = Kind::of(cause);
    let wanted =
        |entry: &Entry| entry.is_refusal(&told) || (kind == Some(Kind::Handshake) && entry.is_handshake());
    let mut more = Vec::new();
    let mut is_line_known = false;
    if let Some(log) = Log::last_part(sql).await
        && let Some(entry) = log.find(sql, tried.port, wanted).await
    {
        is_line_known = entry.names_the_line();
        more.extend(entry.told(&log.name));
    }
    if kind == Some(Kind::Rules)
        && !is_line_known
        && let Some(line) = hba::deciding_line(target, admin, sql, tried.plaintext).await
    {
        more.push(line);
    }
    if cause == Cause::Password
        && let Some(line) = password(target, sql).await
    {
        more.push(line);
    }
    more
}

/// Who knows more about a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `pg_hba.conf` decides, and the log says by which line.
    Rules,
    /// The log alone.
    Log,
    /// The log, which says in its own words why a handshake failed.
    Handshake,
}

impl Kind {
    const fn of(cause: Cause) -> Option<Self> {
        match cause {
            Cause::HbaNoEntryPlain
            | Cause::HbaNoEntryTls
            | Cause::HbaReject
            | Cause::Password
            | Cause::ClientRequired
            | Cause::ClientWrongUser
            | Cause::PeerAccount
            | Cause::ServerNoCa => Some(Self::Rules),
            Cause::NoRole
            | Cause::RoleMayNotLogin
            | Cause::NoDatabase
            | Cause::TooManyConnections
            | Cause::LoginRefused => Some(Self::Log),
            Cause::ClientUntrusted
            | Cause::ClientExpired
            | Cause::ClientRevoked
            | Cause::ClientPurpose
            | Cause::ClientBad
            | Cause::TlsVersion
            | Cause::NothingInCommon => Some(Self::Handshake),
            _ => None,
        }
    }
}

/// What the catalogue says of the role's password; never the password.
async fn password(target: &Target, sql: &mut OverSql<'_>) -> Option<String> {
    let role = target.user.replace('\'', "''");
    let query = format!(
        "SELECT rolpassword IS NULL, coalesce(rolpassword LIKE 'md5%', false), coalesce(rolvaliduntil < now(), false) \
         FROM pg_authid WHERE rolname = '{role}'"
    );
    let rows = sql.query(&query).await.ok()?;
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
