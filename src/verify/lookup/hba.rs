//! Which line of `pg_hba.conf` decides over us, its includes followed: as the files stand now.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::conf::hba::Rules;
use crate::conf::simulate::{Channel, Connection, Memberships, Simulator, World};
use crate::conf::{Dialect, Files};
use crate::dial::Address;

use super::super::over_sql::OverSql;
use super::super::shorten;
use super::super::target::{Admin, Target};

const FILE: &str = "SELECT current_setting('hba_file') AS file, current_setting('server_version_num') AS version, \
    host(inet_client_addr()) AS client";

const MEMBERS: &str = "SELECT m.rolname AS member, g.rolname AS of FROM pg_auth_members a \
    JOIN pg_roles m ON m.oid = a.member JOIN pg_roles g ON g.oid = a.roleid LIMIT 100000";

/// The line that decides, as the file stands now: after a failed reload older rules are in force.
pub async fn deciding_line(
    target: &Target,
    admin: &Admin,
    sql: &mut OverSql<'_>,
    plaintext: bool,
) -> Option<String> {
    let rows = match sql.query(FILE).await {
        Ok(rows) => rows,
        Err(why) => return Some(format!("pg_hba.conf could not be looked up: {why}")),
    };
    let path = PathBuf::from(rows.value(0, "file")?);
    let major = rows.value(0, "version")?.parse::<u32>().ok()? / 10_000;
    let dialect = Dialect::of(u16::try_from(major).ok()?);
    let connection = Connection {
        channel: channel(target, admin, rows.value(0, "client"), plaintext)?,
        user: target.user.clone(),
        database: target.dbname.clone(),
        replication: false,
    };
    let world = World {
        memberships: memberships(sql, &target.user).await,
        ..World::default()
    };
    let shown = crate::pki::printable(&path.to_string_lossy());
    let (rules, files) = match sql
        .load(&path, |path, files| Rules::load(path, files, dialect))
        .await
    {
        Ok(loaded) => loaded,
        Err(why) => {
            return Some(format!(
                "{shown} could not be read: {}",
                crate::pki::printable(&why.to_string())
            ));
        }
    };
    let decision = Simulator::new(rules.rules(), &world).decide(&connection);
    if !decision.is_certain() || !rules.is_loadable() {
        return Some(format!("which line of {shown} decides cannot be told from here"));
    }
    let Some(record) = decision.record else {
        return Some(format!("read as superuser: no line of {shown} is for this login"));
    };
    let place = &rules.rules().get(record)?.place;
    let text = files.read(&place.file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let text = text.lines().nth(place.line.checked_sub(1)?).unwrap_or_default();
    Some(format!(
        "read as superuser: line {} of {} decides: {}",
        place.line,
        crate::pki::printable(&place.file.to_string_lossy()),
        crate::pki::printable(&shorten(text.trim(), 160))
    ))
}

/// How the server sees us; `None` where that is not known. Over a way in of the same address it is what the server sees
/// there, which an address translation in between may have changed; over the server's own socket both ends are here.
fn channel(target: &Target, admin: &Admin, client: Option<&str>, plaintext: bool) -> Option<Channel> {
    let Address::Tcp { addresses, .. } = &target.address else {
        return Some(Channel::Socket);
    };
    let dialled = addresses.first()?.ip();
    let ip: IpAddr = match (admin.address(), client) {
        (Address::Tcp { addresses, .. }, Some(client)) if addresses.iter().any(|one| one.ip() == dialled) => {
            client.parse().ok()?
        }
        (Address::Unix(_), _) if dialled.is_loopback() => dialled,
        _ => return None,
    };
    if plaintext {
        return Some(Channel::Plain(ip));
    }
    let shown = target.identity.as_ref().and_then(|identity| identity.leaf());
    let name = shown
        .and_then(|der| crate::pki::Certificate::from_der(der).ok())
        .map(|leaf| leaf.common_name().unwrap_or_default().to_owned());
    Some(Channel::Tls(ip, name))
}

/// Who is a member of what; the role itself need not be there.
async fn memberships(sql: &mut OverSql<'_>, role: &str) -> Option<Memberships> {
    let rows = sql.query(MEMBERS).await.ok()?;
    let direct: Vec<(String, String)> = (0..rows.rows.len())
        .filter_map(|at| {
            Some((
                rows.value(at, "member")?.to_owned(),
                rows.value(at, "of")?.to_owned(),
            ))
        })
        .collect();
    let members = direct.iter().map(|(member, _)| member.clone());
    let roles: Vec<String> = members.chain([role.to_owned()]).collect();
    Some(Memberships::new(roles, direct))
}
