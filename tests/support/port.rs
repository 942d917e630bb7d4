//! Ports for servers that are started a moment later. Std alone: the library's own tests have it too.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Mutex;

/// Below the range of the system's own choices: a server that is not there yet, or stops and starts again, would lose one
/// of those to a client's connection.
const RANGE: std::ops::Range<u16> = 10_000..32_000;

/// A port that nobody has on any address of this machine now, and that this function gives to nobody else, in this
/// process or another, until this process has ended.
///
/// # Panics
/// If there is none.
pub fn free_port() -> u16 {
    // What is given away is a name among the abstract sockets: it is free again when its process is gone, however it ends.
    static GIVEN: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());
    let mut given = GIVEN.lock().unwrap();
    // Processes side by side begin at places far apart.
    let begin = std::process::id().wrapping_mul(2_654_435_761) >> 8;
    let size = u32::from(RANGE.end - RANGE.start);
    for count in 0..size {
        let port = RANGE.start + u16::try_from(begin.wrapping_add(count) % size).unwrap();
        let name = SocketAddr::from_abstract_name(format!("pgtls-tests-port-{port}")).unwrap();
        let Ok(name) = UnixListener::bind_addr(&name) else {
            continue;
        };
        if is_free(port) {
            given.push(name);
            return port;
        }
    }
    panic!("no port from {} to {} is free", RANGE.start, RANGE.end);
}

fn is_free(port: u16) -> bool {
    let addresses: [IpAddr; 4] = [
        Ipv4Addr::LOCALHOST.into(),
        Ipv6Addr::LOCALHOST.into(),
        Ipv4Addr::UNSPECIFIED.into(),
        Ipv6Addr::UNSPECIFIED.into(),
    ];
    addresses.into_iter().all(|address| {
        let bound = TcpListener::bind((address, port));
        bound.is_ok() || bound.is_err_and(|error| error.kind() == ErrorKind::AddrNotAvailable)
    })
}
