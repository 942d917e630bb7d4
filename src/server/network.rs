//! The networks of a server on this machine.

use std::net::IpAddr;
use std::path::Path;

use super::postmaster::find;

/// Address and mask of each interface of the server of `data`, as it sees them itself
/// (PostgreSQL's `src/backend/libpq/ifaddr.c`). `None` where no server is found, or it may be in networks of its own, as in
/// a container (`network_namespaces(7)`).
#[must_use]
pub fn interfaces(data: &Path) -> Option<Vec<(IpAddr, IpAddr)>> {
    let pid = find(data)?;
    if cfg!(target_os = "linux") {
        let network = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/net")).ok();
        if network("self")? != network(&pid.to_string())? {
            return None;
        }
    }
    let all = if_addrs::get_if_addrs().ok()?;
    Some(all.into_iter().map(|one| pair(&one.addr)).collect())
}

/// Without a mask an interface stands for its address alone.
fn pair(interface: &if_addrs::IfAddr) -> (IpAddr, IpAddr) {
    let (address, mask) = match interface {
        if_addrs::IfAddr::V4(one) => (IpAddr::from(one.ip), IpAddr::from(one.netmask)),
        if_addrs::IfAddr::V6(one) => (IpAddr::from(one.ip), IpAddr::from(one.netmask)),
    };
    let whole = match address {
        IpAddr::V4(_) => IpAddr::from([255; 4]),
        IpAddr::V6(_) => IpAddr::from([255; 16]),
    };
    (address, if mask.is_unspecified() { whole } else { mask })
}
