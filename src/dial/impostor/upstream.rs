//! The impostor's way into the server, with what it has read of the client.

use std::net::SocketAddr;

use postgres_protocol::authentication::{md5_hash, sasl};
use tokio::io::AsyncWriteExt;
use zeroize::Zeroizing;

use crate::dial::wire::{AuthMethod, MOST_ASIDES, Message, message, read_message};
use crate::dial::{Address, Deadline, Link, ServerMessage, open};

use super::heard::Teller;

/// A connection to the server on which the client's startup packet has been sent.
#[derive(Debug)]
pub(super) struct Upstream(Link);

/// The server's first answer.
#[derive(Debug)]
pub(super) enum Answer {
    /// No proof is needed.
    LetIn,
    /// A proof is wanted, that a password can give.
    Wants(Proof),
    /// It refuses, or wants what the impostor does not have.
    Refused(String),
}

/// A proof that can be made of a password.
#[derive(Debug)]
pub(super) enum Proof {
    Cleartext,
    Md5([u8; 4]),
    Scram,
}

impl Upstream {
    /// Begins a session as the client would have. Over TLS where the server offers it, whatever its certificate:
    /// an impostor does not care.
    pub async fn begin(
        server: SocketAddr,
        startup: &[u8],
        deadline: Deadline,
        tell: &Teller,
    ) -> Result<(Self, Answer), String> {
        let address = Address::known(&server.ip().to_string(), server);
        let stream = open(&address, deadline)
            .await
            .map_err(|error| error.to_string())?;
        tell.dialled(&stream);
        let mut upstream = Self(Link::offered(stream, deadline).await?);
        let answer = upstream.ask(startup, deadline).await?;
        Ok((upstream, answer))
    }

    async fn ask(&mut self, startup: &[u8], deadline: Deadline) -> Result<Answer, String> {
        self.send(startup, deadline).await?;
        let body = match self.authentication(deadline).await? {
            Ok(body) => body,
            Err(message) => return Ok(Answer::Refused(message.to_string())),
        };
        Ok(
            match AuthMethod::from_body(&body).map_err(|error| error.to_string())? {
                None => Answer::LetIn,
                Some(AuthMethod::Cleartext) => Answer::Wants(Proof::Cleartext),
                Some(AuthMethod::Md5) => match body.get(4..8).and_then(|salt| salt.try_into().ok()) {
                    Some(salt) => Answer::Wants(Proof::Md5(salt)),
                    None => Answer::Refused("a truncated request for a password".to_owned()),
                },
                Some(method) if method.offers(sasl::SCRAM_SHA_256) => Answer::Wants(Proof::Scram),
                Some(method) => Answer::Refused(format!("it wants {method}")),
            },
        )
    }

    /// Proves to the server that we are the client, with the client's password.
    pub async fn prove(
        &mut self,
        proof: &Proof,
        password: &[u8],
        startup: &[u8],
        deadline: Deadline,
    ) -> Result<(), String> {
        match proof {
            Proof::Cleartext => self.send_password(password, deadline).await?,
            Proof::Md5(salt) => {
                let hash = md5_hash(user(startup), password, *salt);
                self.send_password(hash.as_bytes(), deadline).await?;
            }
            Proof::Scram => self.scram(password, deadline).await?,
        }
        match self.authentication(deadline).await? {
            Ok(body) if body == [0; 4] => Ok(()),
            Ok(_) => Err("it wants more than a password".to_owned()),
            Err(message) => Err(message.to_string()),
        }
    }

    async fn scram(&mut self, password: &[u8], deadline: Deadline) -> Result<(), String> {
        // "Not supported": what a client says to a server that offers no binding, and what the server must take.
        let mut scram = sasl::ScramSha256::new(password, sasl::ChannelBinding::unsupported());
        let words = |error: std::io::Error| error.to_string();
        let length = u32::try_from(scram.message().len())
            .unwrap_or_default()
            .to_be_bytes();
        let first = message(
            b'p',
            &[sasl::SCRAM_SHA_256.as_bytes(), b"\0", &length, scram.message()],
        );
        self.send(&first, deadline).await?;
        scram.update(&self.sasl(11, deadline).await?).map_err(words)?;
        self.send(&message(b'p', &[scram.message()]), deadline).await?;
        scram.finish(&self.sasl(12, deadline).await?).map_err(words)
    }

    /// The data of a SASL message with this code.
    async fn sasl(&mut self, code: u32, deadline: Deadline) -> Result<Vec<u8>, String> {
        match self.authentication(deadline).await? {
            Ok(body) if body.starts_with(&code.to_be_bytes()) => Ok(body[4..].to_vec()),
            Ok(_) => Err("it does not go on with SCRAM".to_owned()),
            Err(message) => Err(message.to_string()),
        }
    }

    async fn send_password(&mut self, password: &[u8], deadline: Deadline) -> Result<(), String> {
        let whole = Zeroizing::new(message(b'p', &[password, b"\0"]));
        self.send(&whole, deadline).await
    }

    async fn send(&mut self, message: &[u8], deadline: Deadline) -> Result<(), String> {
        let sending = async {
            self.0.write_all(message).await?;
            self.0.flush().await
        };
        match deadline.bound(sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(crate::dial::words::io_words(&error)),
            Err(late) => Err(late.to_string()),
        }
    }

    /// The body of the next Authentication message, or the refusal that came instead.
    async fn authentication(&mut self, deadline: Deadline) -> Result<Result<Vec<u8>, ServerMessage>, String> {
        for _ in 0..MOST_ASIDES {
            let Message { kind, body } = match deadline.bound(read_message(&mut self.0)).await {
                Ok(Ok(message)) => message,
                Ok(Err(error)) => return Err(error.to_string()),
                Err(late) => return Err(late.to_string()),
            };
            match kind {
                b'R' => return Ok(Ok(body)),
                b'E' => return Ok(Err(ServerMessage::from_body(&body))),
                _ => {}
            }
        }
        Err("it never answers".to_owned())
    }

    /// The connection, from behind the authentication on.
    pub fn into_link(self) -> Link {
        self.0
    }
}

/// The role in a startup packet.
fn user(startup: &[u8]) -> &[u8] {
    let mut words = startup.get(8..).unwrap_or_default().split(|byte| *byte == 0);
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        if name == b"user" {
            return value;
        }
    }
    &[]
}
