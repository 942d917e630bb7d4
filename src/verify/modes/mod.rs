//! What each `sslmode` is worth against this server: six modes, and for each what it meets. Every cell is a
//! connection that was made, between a client that goes by that mode and the server, with an impostor of ours in
//! between ([`Impostor`]); what the impostor read is the evidence. Nothing in a cell is known beforehand.

mod logbook;
mod overheard;
mod props;
mod report;

use std::time::{Duration, Instant};

use crate::conninfo::SslMode;
use crate::dial::{Address, Impostor, Plot, Session, TlsFacts};
use crate::judge::judge_name;

pub use props::{Props, SOMEBODY_ELSE, WrongName};
pub use report::{Cell, CellOutcome, Matrix, Meets, Row};

use super::client::{Place, Server};
use super::connect::{End, follow};
use super::target::Target;
use logbook::Logbook;
use overheard::Ending;

/// A client that connects under one `sslmode`.
#[derive(Debug)]
pub struct Subject {
    /// The mode.
    pub sslmode: SslMode,
    /// What it dials with; or why libpq does not even begin with such a string.
    pub target: Result<Target, String>,
}

impl Subject {
    fn has_root(&self) -> bool {
        self.target
            .as_ref()
            .is_ok_and(|target| matches!(target.client.root, Ok(Some(_))))
    }

    /// The same client without a root file, where that makes a difference.
    fn without_root_file(&self) -> Option<Self> {
        let matters = matches!(self.sslmode, SslMode::Allow | SslMode::Prefer | SslMode::Require);
        let mut target = self
            .target
            .as_ref()
            .ok()
            .filter(|_| matters && self.has_root())?
            .clone();
        target.client.root = Ok(None);
        Some(Self {
            sslmode: self.sslmode,
            target: Ok(target),
        })
    }
}

/// Makes every connection, telling each as it is done. The subjects stand in the order of their rows; `target` has the
/// way to the server's log, if there is one.
pub async fn matrix(
    subjects: &[Subject],
    props: &Props,
    target: &Target,
    tell: &dyn Fn(&Told<'_>),
) -> Matrix {
    let logbook = Logbook::open(target).await;
    let bare: Vec<Subject> = subjects.iter().filter_map(Subject::without_root_file).collect();
    let all: Vec<&Subject> = subjects.iter().chain(&bare).collect();
    // One column after the other would take five times as long, and all at once more connections than a small
    // server has.
    let column = async |meets: Meets| {
        let mut cells = Vec::with_capacity(all.len());
        for subject in &all {
            let since = Instant::now();
            let mut cell = cell(subject, meets, props, logbook.as_ref()).await;
            cell.took = since.elapsed();
            tell(&Told {
                sslmode: subject.sslmode,
                root_file: subject.has_root(),
                cell: &cell,
            });
            cells.push(cell);
        }
        cells
    };
    let made = tokio::join!(
        column(Meets::AsItIs),
        column(Meets::SelfSigned),
        column(Meets::OtherCa),
        column(Meets::WrongName),
        column(Meets::Plaintext),
    );
    if let Some(logbook) = logbook {
        logbook.close(target).await;
    }
    let mut columns = [made.0, made.1, made.2, made.3, made.4].map(Vec::into_iter);
    let mut rows: Vec<Row> = all
        .iter()
        .map(|subject| Row {
            sslmode: subject.sslmode,
            root_file: subject.has_root(),
            cells: columns.iter_mut().filter_map(Iterator::next).collect(),
        })
        .collect();
    let without_root_file = rows.split_off(subjects.len());
    let holds = report::holds(&rows);
    Matrix {
        holds,
        headline: report::headline(holds, &rows),
        rows,
        without_root_file,
    }
}

/// A cell that is done, and where it stands.
#[derive(Debug)]
pub struct Told<'a> {
    /// The row.
    pub sslmode: SslMode,
    /// Whether that client has a root file.
    pub root_file: bool,
    /// The cell.
    pub cell: &'a Cell,
}

async fn cell(subject: &Subject, meets: Meets, props: &Props, logbook: Option<&Logbook>) -> Cell {
    let cell = |outcome, observed: String, evidence| Cell {
        meets,
        outcome,
        observed,
        evidence,
        took: Duration::ZERO,
    };
    let target = match &subject.target {
        Ok(target) => target,
        // libpq opens no connection with such a string.
        Err(why) => {
            return cell(
                CellOutcome::Refuses,
                "libpq refuses the connection string".to_owned(),
                vec![why.clone()],
            );
        }
    };
    let prop = match props.prop(meets) {
        Ok(prop) => prop,
        Err(why) => return cell(CellOutcome::NotTried, why, Vec::new()),
    };
    let server = dialled(target);
    let plot = Plot {
        asks_for_password: server.password.is_some(),
        ..Plot::new(prop.disguise, target.timeout)
    };
    let impostor = match Impostor::listen(plot, &target.address).await {
        Ok(impostor) => impostor,
        Err(error) => return cell(CellOutcome::Open, error.to_string(), Vec::new()),
    };
    let mut deceived = target.clone();
    let mut dialled = Server {
        place: Place::Address(impostor.address()),
        ..server.clone()
    };
    if let Some(name) = prop.dialled {
        name.clone_into(&mut dialled.label);
        dialled.name = Some(name.to_owned());
    }
    deceived.client.servers = vec![dialled];
    let (before, end) = follow(&deceived).await;
    let is_named = |facts: Option<&TlsFacts>| {
        let leaf = facts.and_then(|facts| facts.presented.first());
        prop.dialled
            .zip(leaf)
            .is_some_and(|(name, leaf)| judge_name(leaf, name).is_ok())
    };
    let ending = match end {
        End::In(session) => Ending::Session {
            tls: session
                .tls()
                .map(|facts| format!("{}, {}", facts.protocol, facts.cipher)),
            is_named: is_named(session.tls()),
            answer: ask(*session, &deceived).await,
        },
        End::Out(finding) => Ending::from(finding),
    };
    let heard = impostor.finish(target.deadline()).await;
    let mut shown: Vec<String> = prop.way.into_iter().collect();
    shown.extend(before);
    shown.extend(overheard::evidence(&heard, server.password.as_ref()));
    if let Ending::Session {
        answer: Ok(answer), ..
    } = &ending
    {
        shown.push(format!("the answer that the client got: {answer}"));
    }
    let (outcome, observed) = match meets {
        Meets::AsItIs => overheard::as_it_is(ending, &heard),
        _ if prop.dialled.is_some() => overheard::under_another_name(ending, &heard),
        _ => overheard::in_front_of_an_impostor(ending, &heard),
    };
    if let Some(logbook) = logbook {
        shown.extend(logbook.lines(target, &heard, &observed).await);
    }
    cell(outcome, observed, shown)
}

/// The server that the target's address is of.
fn dialled(target: &Target) -> &Server {
    let here = |server: &&Server| match (&server.place, &target.address) {
        (
            Place::Name(host, port),
            Address::Tcp {
                host: dialled,
                addresses,
            },
        ) => host == dialled && addresses.iter().any(|address| address.port() == *port),
        (Place::Address(address), Address::Tcp { addresses, .. }) => addresses.contains(address),
        _ => false,
    };
    let servers = &target.client.servers;
    // Never empty: a conninfo names one server at least.
    servers.iter().find(here).unwrap_or(&servers[0])
}

/// Asks what only the server should read; gives the answer, in words.
async fn ask(mut session: Session, target: &Target) -> Result<String, String> {
    let answer = session.query(overheard::SECRET_QUERY, target.deadline()).await;
    session.close(target.deadline()).await;
    match answer {
        Ok(rows) => {
            let value = rows
                .rows
                .first()
                .and_then(|row| row.first())
                .and_then(Option::as_deref);
            Ok(crate::pki::printable(value.unwrap_or_default()))
        }
        Err(failure) => Err(failure.to_string()),
    }
}
