//! Passing bytes on between a client and the server, and listening meanwhile.

use std::borrow::Cow;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::dial::words::io_words;
use crate::dial::{Address, Deadline, Link, open};

use super::Plot;
use super::ear::Ear;
use super::forge::Forger;
use super::heard::{Bytes, End, Overheard, Teller};

/// Passes the bytes on as they are, after those that the client has sent already; gives how it ended, in words.
pub(super) async fn tap(
    client: TcpStream,
    server: SocketAddr,
    sent: &[u8],
    plot: &Plot,
    tell: &Teller,
) -> String {
    let address = Address::known(&server.ip().to_string(), server);
    match open(&address, Deadline::after(plot.patience)).await {
        Ok(mut upstream) => {
            tell.dialled(&upstream);
            if let Err(error) = upstream.write_all(sent).await {
                return io_words(&error);
            }
            let mut ear = Ear::from_the_start(tell.clone());
            let copy = |from: End, bytes: &[u8]| {
                if plot.tells_bytes {
                    let bytes = Bytes::new(bytes);
                    tell.tell(Overheard::Bytes { from, bytes });
                }
            };
            let mut passed = pass_on(
                client,
                Link::Plain(upstream),
                |bytes| {
                    copy(End::Client, bytes);
                    ear.hear(bytes);
                },
                |bytes| {
                    copy(End::Server, bytes);
                    Cow::Borrowed(bytes)
                },
            )
            .await;
            passed.deaf = ear.is_deaf();
            if passed.deaf {
                tell.tell(Overheard::Encrypted {
                    sent: passed.sent,
                    received: passed.received,
                });
            }
            "passed on to its end".to_owned()
        }
        Err(error) => error.to_string(),
    }
}

/// Passes on what nobody reads, after what the client has sent already; gives how it ended, in words.
pub(super) async fn unread<S>(client: S, server: SocketAddr, sent: &[u8], deadline: Deadline) -> String
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let address = Address::known(&server.ip().to_string(), server);
    let mut upstream = match open(&address, deadline).await {
        Ok(upstream) => upstream,
        Err(error) => return error.to_string(),
    };
    if let Err(error) = upstream.write_all(sent).await {
        return io_words(&error);
    }
    pass_on(
        client,
        Link::Plain(upstream),
        |_| {},
        |bytes| Cow::Borrowed(bytes),
    )
    .await;
    "passed on to its end".to_owned()
}

/// What was passed on.
#[derive(Debug, Default)]
pub(super) struct Passed {
    pub sent: u64,
    pub received: u64,
    pub deaf: bool,
}

/// Passes on what the impostor reads, in both directions until both ends are done; what the server sends goes through the
/// forger.
pub(super) async fn relay<S>(client: S, server: Link, mut ear: Ear, mut forger: Forger)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let read = |bytes: &[u8]| ear.hear(bytes);
    pass_on(client, server, read, |bytes| Cow::Owned(forger.pass(bytes))).await;
}

/// Passes on in both directions until both are done.
async fn pass_on<S>(
    client: S,
    server: Link,
    mut up: impl FnMut(&[u8]),
    down: impl for<'a> FnMut(&'a [u8]) -> Cow<'a, [u8]>,
) -> Passed
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut passed = Passed::default();
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let up = pass(&mut from_client, &mut to_server, &mut passed.sent, |bytes| {
        up(bytes);
        Cow::Borrowed(bytes)
    });
    let down = pass(&mut from_server, &mut to_client, &mut passed.received, down);
    tokio::join!(up, down);
    passed
}

/// One direction. The end of whoever sends is passed on, and the other direction goes on. Whoever no longer takes anything
/// may have said something before it went, an alert: that the other direction still reads, and ends with.
async fn pass<R, W>(
    from: &mut R,
    to: &mut W,
    count: &mut u64,
    mut through: impl for<'a> FnMut(&'a [u8]) -> Cow<'a, [u8]>,
) where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut piece = vec![0; 16 * 1024];
    loop {
        let Ok(read @ 1..) = from.read(&mut piece).await else {
            let _ = to.shutdown().await;
            return;
        };
        *count += read as u64;
        let passed = through(&piece[..read]);
        if to.write_all(&passed).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}
