//! An open socket to a server, before any TLS.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, UnixStream};

use super::address::{Address, OpenError, OpenStage};
use super::words::io_words;
use super::{Deadline, Lost};

/// A connected socket. Writing to a server that has gone away is not an error here: what it said last is
/// still in our receive queue, so the failure shows on the next read, after that has been read. Without
/// this the alert by which a TLS 1.3 server refuses a client certificate is lost, because it arrives after
/// our handshake is over, while we are writing the first message.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
    write_failure: Option<io::ErrorKind>,
    /// Read already, and to be read again first.
    returned: Vec<u8>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// What libpq sets on a TCP socket before it connects (<https://www.postgresql.org/docs/18/libpq-connect.html>). The kernel
/// says which values it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpOptions {
    /// `keepalives_idle`, in seconds.
    pub idle: Option<u32>,
    /// `keepalives_interval`, in seconds.
    pub interval: Option<u32>,
    /// `keepalives_count`
    pub count: Option<u32>,
    /// `tcp_user_timeout`, in milliseconds.
    pub user_timeout: Option<u32>,
}

impl TcpOptions {
    /// Sets them in libpq's order; the error names the keyword that the kernel does not take.
    fn set(self, socket: &TcpSocket) -> Result<(), (&'static str, io::Error)> {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let outcomes = [
            (
                "keepalives_idle",
                self.idle
                    .map(|idle| sockopt::set_tcp_keepidle(socket, seconds(idle))),
            ),
            (
                "keepalives_interval",
                self.interval
                    .map(|interval| sockopt::set_tcp_keepintvl(socket, seconds(interval))),
            ),
            (
                "keepalives_count",
                self.count.map(|count| sockopt::set_tcp_keepcnt(socket, count)),
            ),
            (
                "tcp_user_timeout",
                self.user_timeout
                    .map(|timeout| sockopt::set_tcp_user_timeout(socket, timeout)),
            ),
        ];
        for (keyword, outcome) in outcomes {
            if let Some(Err(error)) = outcome {
                return Err((keyword, error.into()));
            }
        }
        Ok(())
    }
}

/// Connects to the first address that accepts, in order, as libpq does. Each of the addresses left gets an
/// equal part of the time left, so that one black hole does not use up all of it.
pub async fn open(address: &Address, deadline: Deadline) -> Result<Stream, OpenError> {
    open_with(address, TcpOptions::default(), deadline).await
}

/// The same with a socket made ready.
pub async fn open_with(
    address: &Address,
    options: TcpOptions,
    deadline: Deadline,
) -> Result<Stream, OpenError> {
    match address {
        Address::Unix(path) => open_unix(path, deadline).await,
        Address::Tcp { host, addresses } => {
            let mut failure = OpenError::NoSuchHost {
                host: host.clone(),
                reason: "it has no address".to_owned(),
            };
            for (tried, socket_address) in addresses.iter().enumerate() {
                let share = deadline.share(addresses.len() - tried);
                match open_tcp(host, *socket_address, options, share).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => failure = error,
                }
            }
            Err(failure)
        }
    }
}

async fn open_tcp(
    host: &str,
    address: SocketAddr,
    options: TcpOptions,
    deadline: Deadline,
) -> Result<Stream, OpenError> {
    let shown = Address::known(host, address).to_string();
    let shown = if address.ip().to_string() == host {
        shown
    } else {
        format!("{shown} ({})", address.ip())
    };
    let failed = |error: &io::Error| OpenError::Other {
        address: shown.clone(),
        reason: io_words(error),
    };
    let socket = if address.is_ipv6() {
        TcpSocket::new_v6()
    } else {
        TcpSocket::new_v4()
    }
    .map_err(|error| failed(&error))?;
    options
        .set(&socket)
        .map_err(|(keyword, error)| OpenError::Option {
            keyword,
            reason: match error.kind() {
                io::ErrorKind::InvalidInput => "it is out of range".to_owned(),
                _ => io_words(&error),
            },
        })?;
    let connected = connected(shown.clone(), deadline.bound(socket.connect(address)).await)?;
    // Without it every login over TLS waits 40 ms for a delayed acknowledgement.
    connected.set_nodelay(true).map_err(|error| failed(&error))?;
    Ok(Stream {
        socket: Socket::Tcp(connected),
        write_failure: None,
        returned: Vec::new(),
    })
}

async fn open_unix(path: &Path, deadline: Deadline) -> Result<Stream, OpenError> {
    // As in PostgreSQL, `@` stands for the NUL that begins a name in Linux's abstract namespace.
    let name = match path.as_os_str().as_bytes().strip_prefix(b"@") {
        Some(name) => OsString::from_vec([b"\0", name].concat()).into(),
        None => path.to_path_buf(),
    };
    let outcome = deadline.bound(UnixStream::connect(name)).await;
    if matches!(&outcome, Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound) {
        return Err(OpenError::NoSuchSocket {
            path: path.to_owned(),
        });
    }
    connected(Address::Unix(path.to_owned()).to_string(), outcome).map(Stream::unix)
}

pub(super) fn connected<T>(
    address: String,
    outcome: Result<io::Result<T>, super::Elapsed>,
) -> Result<T, OpenError> {
    match outcome {
        Ok(Ok(socket)) => Ok(socket),
        Ok(Err(error)) => Err(match error.kind() {
            io::ErrorKind::ConnectionRefused => OpenError::Refused { address },
            io::ErrorKind::PermissionDenied => OpenError::Permission { address },
            _ => OpenError::Other {
                address,
                reason: io_words(&error),
            },
        }),
        Err(late) => Err(OpenError::TimedOut {
            address,
            stage: OpenStage::Connecting,
            allowed: late.0,
        }),
    }
}

impl Stream {
    pub(super) const fn unix(socket: UnixStream) -> Self {
        Self {
            socket: Socket::Unix(socket),
            write_failure: None,
            returned: Vec::new(),
        }
    }

    /// The address of the server's end; `None` over a Unix socket.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(tcp) => tcp.peer_addr().ok(),
            Socket::Unix(_) => None,
        }
    }

    /// The account of the server at the other end of a Unix socket (`SO_PEERCRED`).
    #[must_use]
    pub fn peer_uid(&self) -> Option<u32> {
        match &self.socket {
            Socket::Tcp(_) => None,
            Socket::Unix(unix) => unix.peer_cred().ok().map(|peer| peer.uid()),
        }
    }

    /// Our own port, by which a server's log calls this connection; a Unix socket has none.
    #[must_use]
    pub fn local_port(&self) -> Option<u16> {
        match &self.socket {
            Socket::Tcp(tcp) => tcp.local_addr().ok().map(|address| address.port()),
            Socket::Unix(_) => None,
        }
    }

    /// Whether this is a Unix-domain socket, over which PostgreSQL never speaks TLS.
    #[must_use]
    pub const fn is_unix(&self) -> bool {
        matches!(self.socket, Socket::Unix(_))
    }

    /// Bytes that have arrived and that nobody has asked for; never waits.
    pub(super) fn unread(&mut self) -> Result<Vec<u8>, Lost> {
        let mut early = [0_u8; 32];
        let outcome = match &self.socket {
            Socket::Tcp(tcp) => tcp.try_read(&mut early),
            Socket::Unix(unix) => unix.try_read(&mut early),
        };
        match outcome {
            Ok(0) => Err(Lost::Closed),
            Ok(length) => Ok(early[..length].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Vec::new()),
            Err(error) => Err(Lost::from(&error)),
        }
    }

    /// Takes bytes back that [`Self::unread`] gave: they are the next to be read.
    pub(super) fn give_back(&mut self, bytes: Vec<u8>) {
        self.returned = bytes;
    }

    /// Keeps the reason why writing stopped, and lets the writer go on to its next read.
    fn survive(&mut self, outcome: io::Result<usize>, pretended: usize) -> io::Result<usize> {
        match outcome {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
                ) =>
            {
                self.write_failure.get_or_insert(error.kind());
                Ok(pretended)
            }
            other => other,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.returned.is_empty() {
            let take = self.returned.len().min(buf.remaining());
            buf.put_slice(&self.returned[..take]);
            self.returned.drain(..take);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let outcome = match &mut self.socket {
            Socket::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Socket::Unix(unix) => Pin::new(unix).poll_read(cx, buf),
        };
        match (outcome, self.write_failure) {
            // The queue is empty and we know that it did not end in peace.
            (Poll::Ready(Ok(())), Some(io::ErrorKind::ConnectionReset))
                if buf.filled().len() == before && buf.remaining() > 0 =>
            {
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
            (outcome, _) => outcome,
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.write_failure.is_some() {
            return Poll::Ready(Ok(buf.len()));
        }
        let outcome = match &mut self.socket {
            Socket::Tcp(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Socket::Unix(unix) => Pin::new(unix).poll_write(cx, buf),
        };
        outcome.map(|outcome| self.survive(outcome, buf.len()))
    }

    /// Several records in one go: when a handshake fails, tokio-rustls writes once, and the alert that says why
    /// stands behind another record.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let whole = bufs.iter().map(|buf| buf.len()).sum();
        if self.write_failure.is_some() {
            return Poll::Ready(Ok(whole));
        }
        let outcome = match &mut self.socket {
            Socket::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Socket::Unix(unix) => Pin::new(unix).poll_write_vectored(cx, bufs),
        };
        outcome.map(|outcome| self.survive(outcome, whole))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Sockets have nothing to flush.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.write_failure.is_some() {
            return Poll::Ready(Ok(()));
        }
        match &mut self.socket {
            Socket::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Socket::Unix(unix) => Pin::new(unix).poll_shutdown(cx),
        }
    }
}
