//! How the server of a project that runs it here is dialled: as its clients do, except by a name that this machine cannot
//! resolve (yet). The proof of everything else need not wait for DNS.

use std::path::Path;
use std::time::Duration;

use super::prepare::is_beside_a_server;
use super::target::kit;
use super::{Error, Teller};
use crate::conninfo::{Conninfo, Keyword};
use crate::dial::{Address, Deadline, OpenError};
use crate::setup::{Run, Setup};

/// Where it answers whatever it is called.
const LOOPBACK: &str = "127.0.0.1";

/// The connection string of the project's first client, by which its promises are proven.
pub async fn project(dir: &Path, timeout: Duration, tell: &Teller) -> Result<Conninfo, Error> {
    let (setup, _, conninfo) = kit(dir, None)?;
    let port = setup.port.unwrap_or(5432);
    let runs_here = setup.run != Run::None || is_beside_a_server(&setup, &super::absolute(dir));
    Ok(at(&setup, runs_here, port, conninfo, timeout, tell).await)
}

/// `conninfo`, with the address where this machine does not know the name.
pub(super) async fn dialled(
    setup: &Setup,
    port: u16,
    conninfo: Conninfo,
    timeout: Duration,
    tell: &Teller,
) -> Conninfo {
    at(setup, setup.run != Run::None, port, conninfo, timeout, tell).await
}

async fn at(
    setup: &Setup,
    runs_here: bool,
    port: u16,
    conninfo: Conninfo,
    timeout: Duration,
    tell: &Teller,
) -> Conninfo {
    let is_known = conninfo.get(Keyword::Hostaddr).is_some() || !runs_here;
    if is_known || !is_unknown(setup, port, timeout).await {
        return conninfo;
    }
    let host = setup.dialled_host();
    tell.notice(format!(
        "this machine does not know the name {host}: it is proven over {LOOPBACK}, under that name; clients need it in DNS \
         or /etc/hosts"
    ));
    conninfo.with(Keyword::Hostaddr, LOOPBACK)
}

/// What to dial: the name, or where this machine does not know that its loopback address.
pub(super) async fn host(setup: &Setup, port: u16, timeout: Duration) -> String {
    if setup.run != Run::None && is_unknown(setup, port, timeout).await {
        return LOOPBACK.to_owned();
    }
    setup.dialled_host().to_string()
}

/// Whether this machine does not know its name.
async fn is_unknown(setup: &Setup, port: u16, timeout: Duration) -> bool {
    let host = setup.dialled_host().to_string();
    let known = Address::resolve(&host, port, Deadline::after(timeout)).await;
    matches!(known, Err(OpenError::NoSuchHost { .. }))
}
