//! Passing bytes on between a client and the server, and listening meanwhile.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::dial::words::io_words;
use crate::dial::{Address, Deadline, Link, open};

use super::ear::Ear;
use super::heard::{Overheard, Teller};

/// Passes the bytes on as they are, after those that the client has sent already; gives how it ended, in words.
pub(super) async fn tap(
    client: TcpStream,
    server: SocketAddr,
    sent: &[u8],
    patience: Duration,
    tell: &Teller,
) -> String {
    let address = Address::known(&server.ip().to_string(), server);
    match open(&address, Deadline::after(patience)).await {
        Ok(mut upstream) => {
            tell.dialled(&upstream);
            if let Err(error) = upstream.write_all(sent).await {
                return io_words(&error);
            }
            let ear = Ear::from_the_start(tell.clone());
            let passed = relay(client, Link::Plain(upstream), ear).await;
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

/// What was passed on.
#[derive(Debug, Default)]
pub(super) struct Passed {
    pub sent: u64,
    pub received: u64,
    pub deaf: bool,
}

/// Passes on in both directions until both ends are done, reading what the client sends.
pub(super) async fn relay<S>(client: S, server: Link, mut ear: Ear) -> Passed
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut passed = Passed::default();
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let up = pass(&mut from_client, &mut to_server, &mut passed.sent, |bytes| {
        ear.hear(bytes);
    });
    let down = pass(&mut from_server, &mut to_client, &mut passed.received, |_| ());
    // An end is passed on and the other direction goes on; a failure ends both.
    let _ = tokio::try_join!(up, down);
    passed.deaf = ear.is_deaf();
    passed
}

async fn pass<R, W>(
    from: &mut R,
    to: &mut W,
    count: &mut u64,
    mut hear: impl FnMut(&[u8]),
) -> Result<(), String>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut piece = vec![0; 16 * 1024];
    loop {
        match from.read(&mut piece).await {
            Ok(0) => return to.shutdown().await.map_err(|error| io_words(&error)),
            Ok(read) => {
                hear(&piece[..read]);
                *count += read as u64;
                to.write_all(&piece[..read])
                    .await
                    .map_err(|error| io_words(&error))?;
                to.flush().await.map_err(|error| io_words(&error))?;
            }
            Err(error) => return Err(io_words(&error)),
        }
    }
}
