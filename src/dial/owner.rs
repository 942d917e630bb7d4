//! Dialling a Unix socket in the place of the account that it belongs to, which root may.
//!
//! A server whose line says `peer` asks the kernel who dialled
//! (<https://www.postgresql.org/docs/current/auth-peer.html>), and on a machine as Debian sets it up it lets in the server's
//! own account alone. The kernel notes the credentials of the *thread* that connects, so one thread takes that account on,
//! connects, and ends; nothing else of this process ever runs as anybody else.

use std::path::Path;

use super::address::OpenError;
use super::stream::{Stream, connected};
use super::{Address, Deadline};

/// Connects to a socket as the account that it belongs to; takes root.
#[cfg(target_os = "linux")]
pub async fn open_as_owner(path: &Path, deadline: Deadline) -> Result<Stream, OpenError> {
    let (tell, told) = tokio::sync::oneshot::channel();
    let socket = path.to_path_buf();
    // Not one of the runtime's own, which would go on to do other work.
    std::thread::spawn(move || drop(tell.send(dial(&socket))));
    let outcome = deadline.bound(told).await.map(|dialled| {
        dialled
            .unwrap_or_else(|_| Err(std::io::ErrorKind::Interrupted.into()))
            .and_then(tokio::net::UnixStream::from_std)
    });
    connected(Address::Unix(path.to_owned()).to_string(), outcome).map(Stream::unix)
}

/// On a thread of its own, which is good for nothing else afterwards.
#[cfg(target_os = "linux")]
fn dial(path: &Path) -> std::io::Result<std::os::unix::net::UnixStream> {
    use std::os::unix::fs::MetadataExt;

    use rustix::process::{Gid, Uid};
    use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

    let owner = std::fs::metadata(path)?;
    let (user, group) = (Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()));
    // The real user stays root's: whoever owns the socket may not reach into this process.
    set_thread_groups(&[])?;
    set_thread_res_gid(None, group, None)?;
    set_thread_res_uid(None, user, None)?;
    let stream = std::os::unix::net::UnixStream::connect(path)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Connects to a socket as who we are: elsewhere a thread is who its process is.
#[cfg(not(target_os = "linux"))]
pub async fn open_as_owner(path: &Path, deadline: Deadline) -> Result<Stream, OpenError> {
    super::stream::open(&Address::Unix(path.to_owned()), deadline).await
}
