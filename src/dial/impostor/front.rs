//! The impostor's face to the client: it takes whatever connection the client is willing to make.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

use crate::dial::wire::{GSSENC_REQUEST, SSL_REQUEST, message};
use crate::dial::words::printable;
use crate::dial::{Deadline, Lost, tls};

use super::ear::{Ear, LONGEST_STARTUP, Startup};
use super::forge::Forger;
use super::heard::{Overheard, Teller};
use super::upstream::{Answer, Upstream};
use super::{Disguise, Plot, relay};

/// The longest password that a client may send; PostgreSQL itself takes no longer one.
const LONGEST_PASSWORD: usize = 1024;
/// What a client may ask for before its startup packet.
const MOST_REQUESTS: usize = 4;

const ASK_FOR_PASSWORD: &[u8] = b"R\0\0\0\x08\0\0\0\x03";
const COME_IN: &[u8] = b"R\0\0\0\x08\0\0\0\0";

/// A conversation with one client; gives how it ended, in words.
pub(super) async fn deceive(mut client: TcpStream, plot: &Plot, server: SocketAddr, tell: &Teller) -> String {
    let deadline = Deadline::after(plot.patience);
    let greeted = match deadline.bound(greet(&mut client, &plot.disguise, tell)).await {
        Ok(Ok(greeted)) => greeted,
        Ok(Err(lost)) => return lost.to_string(),
        Err(late) => return late.to_string(),
    };
    let done = match greeted {
        Greeted::Startup(packet) => play(client, packet, false, plot, server, tell).await,
        Greeted::TheServers(sent) => return relay::tap(client, server, sent, plot, tell).await,
        Greeted::Tls(config) => match deadline.bound(TlsAcceptor::from(config).accept(client)).await {
            Ok(Ok(mut session)) => {
                let connection = session.get_ref().1;
                tell.tell(Overheard::TlsCompleted {
                    protocol: connection
                        .protocol_version()
                        .map_or("unknown", tls::protocol_name),
                    showed_certificate: connection
                        .peer_certificates()
                        .is_some_and(|chain| !chain.is_empty()),
                });
                match deadline.bound(packet(&mut session)).await {
                    Ok(Ok(packet)) => play(session, packet, true, plot, server, tell).await,
                    Ok(Err(lost)) => Err(lost),
                    Err(late) => Err(late.into()),
                }
            }
            Ok(Err(error)) => {
                let lost = Lost::from(error);
                if let Lost::Alert(alert) = lost {
                    tell.tell(Overheard::Alert(alert));
                }
                Err(lost)
            }
            Err(late) => Err(late.into()),
        },
    };
    match done {
        Ok(how) => how,
        Err(lost) => lost.to_string().replace("the server", "the client"),
    }
}

/// A conversation with one client on behalf of a server without TLS: whoever asks for TLS has it here, whoever does not is
/// passed on as he is; gives how it ended, in words.
pub(super) async fn terminate(
    mut client: TcpStream,
    plot: &Plot,
    server: SocketAddr,
    tell: &Teller,
) -> String {
    let deadline = Deadline::after(plot.patience);
    let greeted = match deadline.bound(greet(&mut client, &plot.disguise, tell)).await {
        Ok(Ok(greeted)) => greeted,
        Ok(Err(lost)) => return lost.to_string(),
        Err(late) => return late.to_string(),
    };
    match greeted {
        Greeted::Startup(packet) => relay::unread(client, server, &packet, deadline).await,
        Greeted::TheServers(sent) => relay::unread(client, server, sent, deadline).await,
        Greeted::Tls(config) => match deadline.bound(TlsAcceptor::from(config).accept(client)).await {
            Ok(Ok(session)) => relay::unread(session, server, &[], deadline).await,
            Ok(Err(error)) => Lost::from(error).to_string().replace("the server", "the client"),
            Err(late) => late.to_string(),
        },
    }
}

/// How a client begins.
enum Greeted {
    /// In plaintext, with this startup packet.
    Startup(Zeroizing<Vec<u8>>),
    /// With TLS, which is about to begin.
    Tls(Arc<ServerConfig>),
    /// With TLS that is the server's own; what the client has sent until then.
    TheServers(&'static [u8]),
}

async fn greet(client: &mut TcpStream, disguise: &Disguise, tell: &Teller) -> Result<Greeted, Lost> {
    let mut first = [0; 1];
    // Direct TLS: a handshake record instead of a packet.
    if let Some(greeted) = with_tls(disguise, &[])
        && client.peek(&mut first).await? == 1
        && first[0] == 0x16
    {
        tell.tell(Overheard::AskedForTls);
        return Ok(greeted);
    }
    for _ in 0..MOST_REQUESTS {
        let packet = packet(client).await?;
        if **packet == SSL_REQUEST {
            tell.tell(Overheard::AskedForTls);
            let greeted = with_tls(disguise, &SSL_REQUEST);
            match &greeted {
                Some(Greeted::Tls(_)) => client.write_all(b"S").await?,
                // The server answers for itself.
                Some(_) => {}
                None => client.write_all(b"N").await?,
            }
            if let Some(greeted) = greeted {
                return Ok(greeted);
            }
        } else if **packet == GSSENC_REQUEST {
            client.write_all(b"N").await?;
        } else {
            return Ok(Greeted::Startup(packet));
        }
    }
    Err(Lost::Other(
        "the client asks and asks, and never begins".to_owned(),
    ))
}

/// What becomes of a client that wants TLS and has sent this for it; `None`: it gets none.
fn with_tls(disguise: &Disguise, sent: &'static [u8]) -> Option<Greeted> {
    match disguise {
        Disguise::Certificate(config) | Disguise::Terminator(config) => {
            Some(Greeted::Tls(Arc::clone(config)))
        }
        Disguise::Borrowed => Some(Greeted::TheServers(sent)),
        Disguise::Plaintext | Disguise::Wiretap => None,
    }
}

/// A packet without a type: the first things that a client sends.
async fn packet<S: AsyncRead + Unpin>(client: &mut S) -> Result<Zeroizing<Vec<u8>>, Lost> {
    let length = client.read_u32().await?;
    let body = usize::try_from(length)
        .ok()
        .filter(|length| (8..=LONGEST_STARTUP).contains(length))
        .ok_or_else(|| Lost::Other("the client does not speak PostgreSQL's protocol".to_owned()))?;
    let mut packet = Zeroizing::new(vec![0; body]);
    packet[..4].copy_from_slice(&length.to_be_bytes());
    client.read_exact(&mut packet[4..]).await?;
    Ok(packet)
}

/// From the startup packet on: into the server if that can be, else in its place.
async fn play<S>(
    mut client: S,
    packet: Zeroizing<Vec<u8>>,
    over_tls: bool,
    plot: &Plot,
    server: SocketAddr,
    tell: &Teller,
) -> Result<String, Lost>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(startup) = Startup::read(&packet) else {
        return Err(Lost::Other("the client does not begin a session".to_owned()));
    };
    tell.tell(startup.heard(over_tls));
    let deadline = Deadline::after(plot.patience);
    let (mut upstream, answer) = match Upstream::begin(server, &packet, deadline, tell).await {
        Ok(begun) => begun,
        Err(why) => return pretend(client, plot, why, tell).await,
    };
    match answer {
        // The client does not know that the server wants none.
        Answer::LetIn if plot.is_greedy => {
            ask_for_password(&mut client, deadline, tell).await?;
        }
        Answer::LetIn => {}
        Answer::Wants(proof) => {
            let password = ask_for_password(&mut client, deadline, tell).await?;
            if let Err(why) = upstream.prove(&proof, &password, &packet, deadline).await {
                return welcome(client, plot, why, tell).await;
            }
        }
        Answer::Refused(why) => return pretend(client, plot, why, tell).await,
    }
    tell.tell(Overheard::Relayed);
    client.write_all(COME_IN).await?;
    client.flush().await?;
    let link = upstream.into_link();
    let forger = Forger::new(plot.forgery.clone(), tell.clone());
    relay::relay(client, link, Ear::after_startup(tell.clone()), forger).await;
    Ok("relayed to its end".to_owned())
}

async fn ask_for_password<S>(
    client: &mut S,
    deadline: Deadline,
    tell: &Teller,
) -> Result<Zeroizing<Vec<u8>>, Lost>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    deadline
        .bound(async {
            client.write_all(ASK_FOR_PASSWORD).await?;
            client.flush().await?;
            let mut header = [0; 5];
            client.read_exact(&mut header).await?;
            let [kind, length @ ..] = header;
            let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            if kind != b'p' || !(5..=LONGEST_PASSWORD).contains(&length) {
                return Err(Lost::Other("the client sends no password".to_owned()));
            }
            let mut password = Zeroizing::new(vec![0; length - 4]);
            client.read_exact(&mut password).await?;
            if password.last() == Some(&0) {
                password.pop();
            }
            tell.tell(Overheard::Password(
                String::from_utf8_lossy(&password).into_owned().into(),
            ));
            Ok(password)
        })
        .await?
}

/// In the server's place, from the authentication on.
async fn pretend<S>(mut client: S, plot: &Plot, why: String, tell: &Teller) -> Result<String, Lost>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if plot.asks_for_password {
        ask_for_password(&mut client, Deadline::after(plot.patience), tell).await?;
    }
    welcome(client, plot, why, tell).await
}

/// In the server's place, behind the authentication: whatever is asked has one made-up row.
async fn welcome<S>(mut client: S, plot: &Plot, why: String, tell: &Teller) -> Result<String, Lost>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    tell.tell(Overheard::Pretends {
        why: printable(&why, 300),
    });
    let deadline = Deadline::after(plot.patience);
    deadline
        .bound(async {
            client.write_all(COME_IN).await?;
            for (name, value) in [
                ("server_version", "18.0"),
                ("server_encoding", "UTF8"),
                ("client_encoding", "UTF8"),
                ("DateStyle", "ISO, MDY"),
                ("integer_datetimes", "on"),
                ("standard_conforming_strings", "on"),
            ] {
                client
                    .write_all(&message(b'S', &[name.as_bytes(), b"\0", value.as_bytes(), b"\0"]))
                    .await?;
            }
            client.write_all(&message(b'K', &[&[0; 8]])).await?;
            client.write_all(&message(b'Z', &[b"I"])).await?;
            client.flush().await?;
            let mut ear = Ear::after_startup(tell.clone());
            loop {
                let mut header = [0; 5];
                match client.read_exact(&mut header).await {
                    Ok(_) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
                    Err(error) => return Err(error.into()),
                }
                ear.hear(&header);
                let [kind, length @ ..] = header;
                let mut left = u64::from(u32::from_be_bytes(length)).saturating_sub(4);
                let mut piece = [0; 1024];
                while left > 0 {
                    let most = usize::try_from(left).unwrap_or(piece.len()).min(piece.len());
                    let read = client.read(&mut piece[..most]).await?;
                    if read == 0 {
                        return Err(Lost::Closed);
                    }
                    ear.hear(&piece[..read]);
                    left -= read as u64;
                }
                let answer = match kind {
                    b'Q' => made_up(),
                    b'S' => [no_such_thing(), message(b'Z', &[b"I"])].concat(),
                    b'X' => break,
                    _ => continue,
                };
                client.write_all(&answer).await?;
                client.flush().await?;
            }
            Ok("answered in the server's place to its end".to_owned())
        })
        .await?
}

/// One row, one column.
fn made_up() -> Vec<u8> {
    const ROW: &[u8] = b"made up by an impostor";
    // A text column (type 25) of any length: RowDescription wants table, column, type, size, modifier, format.
    let description = [
        &1_u16.to_be_bytes()[..],
        b"answer\0",
        &[0; 6],
        &25_u32.to_be_bytes(),
        &[255; 6],
        &[0; 2],
    ];
    let length = u32::try_from(ROW.len()).unwrap_or_default().to_be_bytes();
    [
        message(b'T', &description),
        message(b'D', &[&1_u16.to_be_bytes(), &length, ROW]),
        message(b'C', &[b"SELECT 1\0"]),
        message(b'Z', &[b"I"]),
    ]
    .concat()
}

/// The extended protocol is not played.
fn no_such_thing() -> Vec<u8> {
    message(b'E', &[b"SERROR\0VERROR\0C0A000\0Mnot now\0\0"])
}
