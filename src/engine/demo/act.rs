//! One act: a client connects, somebody stands in between, and an eavesdropper listens on the client's wire.
//!
//! The eavesdropper stands next to the client, so that it sees what everybody on the way would see; behind it the impostor,
//! if there is one, and behind that the server.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

use super::client::Client;
use super::wire::Reader;
use super::{Caller, Course, Middle, Told};
use crate::conninfo::{Conninfo, Keyword};
use crate::dial::{Address, Alert, Deadline, Disguise, Forgery, Heard, Impostor, Overheard, Plot};
use crate::engine::{Error, Teller};
use crate::server::Said;

/// How long the impostors may wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is to be tried.
pub(super) struct Act<'a> {
    /// In a few words.
    pub title: &'a str,
    /// How the client connects; its port is the server's.
    pub conninfo: Conninfo,
    /// What it asks.
    pub query: &'a str,
    /// Who connects.
    pub caller: Caller,
    /// Who stands in between.
    pub middle: Middle,
    /// What that one shows.
    pub disguise: Option<Disguise>,
    /// What it changes.
    pub forgery: Option<Forgery>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Acted {
    pub said: Said,
    /// The eavesdropper's bytes, both directions, in the order in which they passed.
    pub captured: Vec<u8>,
    /// How many messages and records that were.
    in_clear: usize,
    sealed: usize,
    /// What the impostor heard.
    pub heard: Vec<Heard>,
}

impl Acted {
    /// Whether these words are among what the eavesdropper took.
    pub fn was_captured(&self, words: &str) -> bool {
        self.captured
            .windows(words.len().max(1))
            .any(|window| window == words.as_bytes())
    }

    /// The only value of the answer.
    pub fn answer(&self) -> Option<&str> {
        match self.said.rows.as_slice() {
            [row] if self.said.ok => Some(row),
            _ => None,
        }
    }

    /// Whether the client was refused with words that have this in them.
    pub fn refused_with(&self, words: &str) -> bool {
        !self.said.ok && self.said.complaints.iter().any(|line| line.contains(words))
    }

    /// The password that the impostor read.
    pub fn stolen(&self) -> Option<&SecretString> {
        self.heard.iter().find_map(|heard| match &heard.what {
            Overheard::Password(password) => Some(password),
            _ => None,
        })
    }

    /// What the impostor changed on its way to the client.
    pub fn truth(&self) -> Option<&str> {
        self.heard.iter().find_map(|heard| match &heard.what {
            Overheard::Changed(forgery) => Some(forgery.from.as_str()),
            _ => None,
        })
    }

    /// The alert with which the client broke the impostor's handshake off.
    pub fn alert(&self) -> Option<Alert> {
        self.heard.iter().find_map(|heard| match heard.what {
            Overheard::Alert(alert) => Some(alert),
            _ => None,
        })
    }

    /// Whether the client refused the impostor's certificate, and gave nothing away: by psql's alert, or in the words of
    /// our own client, which sends none.
    pub fn refused_certificate(&self) -> bool {
        let said = self.alert().is_some() || self.refused_with("the certificate ");
        said && !self.said.ok && !self.read_anything()
    }

    /// Whether the impostor got as far as TLS.
    pub fn shook_hands(&self) -> bool {
        self.heard
            .iter()
            .any(|heard| matches!(heard.what, Overheard::TlsCompleted { .. }))
    }

    /// Whether it read anything that was meant for the server.
    pub fn read_anything(&self) -> bool {
        self.heard.iter().any(|heard| {
            matches!(
                heard.what,
                Overheard::Startup { .. } | Overheard::Password(_) | Overheard::Query(_) | Overheard::Row(_)
            )
        })
    }

    /// What the client said last, without the address that it dialled.
    pub fn last_words(&self) -> String {
        let words = self.words(|line| !line.starts_with("password retrieved from file "));
        match words.split_once(" failed: ") {
            Some((before, why)) if before.starts_with("psql: error: ") => why.replace("FATAL:  ", "FATAL: "),
            // Our own client says what to do in lines of its own.
            _ if !self.said.ok => self.said.complaints.first().cloned().unwrap_or_default(),
            _ => words,
        }
    }

    fn all_words(&self) -> String {
        self.words(|_| true)
    }

    fn words(&self, wanted: impl Fn(&str) -> bool) -> String {
        let lines = if self.said.ok {
            &self.said.rows
        } else {
            &self.said.complaints
        };
        let lines: Vec<_> = lines
            .iter()
            .map(String::as_str)
            .filter(|line| wanted(line))
            .collect();
        lines.join(" ")
    }
}

impl Act<'_> {
    /// Plays it, and notes in the course what shows it.
    pub async fn play(self, client: &Client, course: &mut Course, tell: &Teller) -> Result<Acted, Error> {
        Told::Act {
            title: self.title.to_owned(),
            command: Client::command_in_short(&self.conninfo),
            caller: self.caller,
            middle: self.middle.clone(),
        }
        .to(tell);
        let server = dialled(&self.conninfo)?;
        let mut impostor = match self.disguise {
            Some(disguise) => Some(
                listen(
                    Plot {
                        asks_for_password: true,
                        is_greedy: true,
                        forgery: self.forgery,
                        ..Plot::new(disguise, PATIENCE)
                    },
                    &server,
                )
                .await?,
            ),
            None => None,
        };
        let next = impostor
            .as_ref()
            .map_or(server, |impostor| local(impostor.address()));
        let mut tap = listen(
            Plot {
                tells_bytes: true,
                ..Plot::new(Disguise::Wiretap, PATIENCE)
            },
            &next,
        )
        .await?;
        let conninfo = self
            .conninfo
            .clone()
            .with(Keyword::Port, tap.address().port().to_string());
        let mut ledger = Ledger::new(tell);
        let said = {
            let mut asking = std::pin::pin!(client.ask(&conninfo, self.query));
            loop {
                tokio::select! {
                    // What was heard is told in the order in which it happened.
                    biased;
                    Some(heard) = tap.next() => ledger.wire(heard),
                    Some(heard) = async { impostor.as_mut()?.next().await } => ledger.heard(heard),
                    said = &mut asking => break said?,
                }
            }
        };
        let deadline = Deadline::after(PATIENCE);
        for heard in tap.finish(deadline).await {
            ledger.wire(heard);
        }
        if let Some(impostor) = impostor {
            for heard in impostor.finish(deadline).await {
                ledger.heard(heard);
            }
        }
        let acted = Acted {
            said,
            captured: ledger.captured,
            in_clear: ledger.in_clear,
            sealed: ledger.sealed,
            heard: ledger.all,
        };
        Told::Client {
            ok: acted.said.ok,
            says: match acted.truth() {
                Some(truth) => format!("{} (the truth is {truth})", acted.last_words()),
                None => acted.last_words(),
            },
        }
        .to(tell);
        acted.note(self.title, &Client::command(&self.conninfo), course);
        Ok(acted)
    }
}

impl Acted {
    fn note(&self, title: &str, command: &str, course: &mut Course) {
        course.evidence.push(format!("{title}: {command}"));
        for heard in &self.heard {
            course.evidence.extend(in_words(&heard.what));
        }
        course.evidence.push(format!(
            "on the client's wire: {} bytes: {} messages in clear, {} TLS records",
            self.captured.len(),
            self.in_clear,
            self.sealed
        ));
        course.evidence.push(format!(
            "the client {}: {}",
            if self.said.ok { "printed" } else { "was refused" },
            self.all_words()
        ));
        course.captured.push(STANDARD.encode(&self.captured));
    }
}

async fn listen(plot: Plot, server: &Address) -> Result<Impostor, Error> {
    Impostor::listen(plot, server)
        .await
        .map_err(|error| Error::Environment {
            what: error.to_string(),
        })
}

/// Where a conninfo leads to that names an address.
fn dialled(conninfo: &Conninfo) -> Result<Address, Error> {
    let ip = conninfo.get(Keyword::Hostaddr).and_then(|ip| ip.parse().ok());
    let port = conninfo.get(Keyword::Port).and_then(|port| port.parse().ok());
    let address = ip.zip(port).map(|(ip, port)| SocketAddr::new(ip, port));
    address.map(local).ok_or_else(|| Error::Environment {
        what: "the lesson's server has no address".to_owned(),
    })
}

fn local(address: SocketAddr) -> Address {
    Address::known(&address.ip().to_string(), address)
}

/// What was heard so far, told as it came.
struct Ledger<'a> {
    tell: &'a Teller,
    reader: Reader,
    conversation: u64,
    captured: Vec<u8>,
    in_clear: usize,
    sealed: usize,
    all: Vec<Heard>,
}

impl<'a> Ledger<'a> {
    fn new(tell: &'a Teller) -> Self {
        Self {
            tell,
            reader: Reader::default(),
            conversation: 0,
            captured: Vec::new(),
            in_clear: 0,
            sealed: 0,
            all: Vec::new(),
        }
    }

    fn wire(&mut self, heard: Heard) {
        // A client that tries again begins anew.
        if heard.conversation != self.conversation {
            self.conversation = heard.conversation;
            self.reader = Reader::default();
        }
        if let Overheard::Bytes { from, bytes } = heard.what {
            self.captured.extend_from_slice(bytes.expose());
            for frame in self.reader.feed(from, bytes.expose()) {
                if frame.readable {
                    self.in_clear += 1;
                } else {
                    self.sealed += 1;
                }
                Told::Wire(frame).to(self.tell);
            }
        }
    }

    fn heard(&mut self, heard: Heard) {
        if let Some(words) = in_words(&heard.what) {
            Told::Impostor(words).to(self.tell);
        }
        self.all.push(heard);
    }
}

/// What the impostor heard, in words; a password is counted, and never shown.
fn in_words(heard: &Overheard) -> Option<String> {
    Some(match heard {
        Overheard::Connected
        | Overheard::Dialled(_)
        | Overheard::AskedForTls
        | Overheard::Encrypted { .. }
        | Overheard::Bytes { .. }
        | Overheard::Ended(_) => return None,
        Overheard::TlsCompleted { protocol, .. } => {
            format!("impostor: the client completed {protocol} with it")
        }
        Overheard::Alert(alert) => {
            let means = match *alert {
                Alert::UNKNOWN_CA => ": I do not know that CA",
                _ => "",
            };
            format!("impostor: the client broke the handshake off with {alert}{means}")
        }
        Overheard::Startup { user, database, .. } => {
            format!("impostor: read user {user}, database {database}")
        }
        Overheard::Password(password) => format!(
            "impostor: asked for the password, and read it: {} characters",
            password.expose_secret().chars().count()
        ),
        Overheard::Proof(length) => format!("impostor: read a proof of the password, {length} bytes"),
        Overheard::Relayed => "impostor: logged in to the server with it".to_owned(),
        Overheard::Pretends { why } => format!("impostor: answers in the server's place ({why})"),
        Overheard::Query(query) => format!("impostor: read the query {query}"),
        Overheard::Row(row) => format!("impostor: read the answer {row}"),
        Overheard::Changed(forgery) => format!("impostor: changed {} to {}", forgery.from, forgery.to),
    })
}
