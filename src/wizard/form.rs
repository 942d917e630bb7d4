//! The questions as data: what can be answered, by which label, with which choices, and what holds where nothing
//! is answered. Every face that asks (the screen, prompts on lines) asks from here.
//!
//! A [`Form`] holds text as it was typed. What it means is judged by [`crate::setup`] alone: [`Form::check`] hands
//! the answers there and sorts each problem to the question, and to the row of a list, that it is about.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::conninfo::{Conninfo, Error as ConninfoError, Keyword};
use crate::pki::{Algorithm, printable};
use crate::setup::{Answers, Auth, ClientAnswer, Mode, Problem, Run, Setup, whole_number};

use super::field::{Choice, Field, Kind};
use super::look::Seen;
use super::secret::{Typed, hide, revealed};

/// Everything that is answered, over what the project's `pgtls.toml` says.
#[derive(Debug, Clone, Default)]
pub struct Form {
    /// What the project's own `pgtls.toml` says; answers win over it.
    pub saved: Answers,
    /// What was found on this machine, once it was looked up.
    pub seen: Option<Seen>,
    given: BTreeMap<Field, Vec<String>>,
    /// Passwords of connection strings: in their text a sign stands for each of their characters.
    hidden: BTreeMap<Field, Typed>,
}

/// What [`crate::setup`] says of the answers.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The setup, where nothing is wrong.
    pub setup: Option<Setup>,
    /// What is wrong, question by question.
    pub faults: Vec<Fault>,
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Fault {
    /// With which question.
    pub field: Field,
    /// With which row of it, in a list.
    pub row: Option<usize>,
    /// What, in setup's words.
    pub problem: Problem,
}

impl Checked {
    /// What is wrong with this question.
    pub fn of(&self, field: Field) -> impl Iterator<Item = &Fault> {
        self.faults.iter().filter(move |fault| fault.field == field)
    }
}

impl Form {
    /// A form over what is saved.
    #[must_use]
    pub fn new(saved: Answers) -> Self {
        Self {
            saved,
            ..Self::default()
        }
    }

    /// What was answered, row by row; empty where nothing was.
    #[must_use]
    pub fn given(&self, field: Field) -> &[String] {
        self.given.get(&field).map_or(&[], Vec::as_slice)
    }

    /// Every answer, for keeping.
    pub fn all_given(&self) -> impl Iterator<Item = (Field, &[String])> {
        self.given.iter().map(|(field, rows)| (*field, rows.as_slice()))
    }

    /// Answers a question; no rows at all take the answer back.
    pub fn give(&mut self, field: Field, rows: Vec<String>) {
        if let (true, Some(text)) = (field.is_conninfo(), rows.first()) {
            let real = revealed(text, self.hidden.get(&field));
            self.give_unseen(field, &real);
            return drop(Zeroizing::new(rows));
        }
        self.hidden.remove(&field);
        if rows.is_empty() || (field.spec().kind == Kind::Text && rows == [""]) {
            self.given.remove(&field);
        } else {
            self.given.insert(field, rows);
        }
    }

    /// Answers a question with a connection string, whose password is put apart.
    pub fn give_unseen(&mut self, field: Field, real: &[char]) {
        let (text, secret) = hide(real);
        if secret.is_empty() {
            self.hidden.remove(&field);
        } else {
            self.hidden.insert(field, secret);
        }
        if text.is_empty() {
            self.given.remove(&field);
        } else {
            self.given.insert(field, vec![text]);
        }
    }

    /// A connection string that was answered, with its password.
    #[must_use]
    pub fn revealed(&self, field: Field) -> Zeroizing<Vec<char>> {
        let text = self.given(field).first().map_or("", String::as_str);
        revealed(text, self.hidden.get(&field))
    }

    /// The same as one text; `None` where nothing was answered.
    #[must_use]
    pub fn conninfo_text(&self, field: Field) -> Option<SecretString> {
        let real = self.revealed(field);
        let mut text = Zeroizing::new(String::with_capacity(4 * real.len()));
        text.extend(real.iter());
        (!text.trim().is_empty()).then(|| SecretString::from(text.as_str()))
    }

    /// The connection string that was answered; the empty one where nothing was.
    ///
    /// # Errors
    /// What libpq's rules say against it.
    pub fn conninfo(&self, field: Field) -> Result<Conninfo, ConninfoError> {
        let text = self.conninfo_text(field);
        Conninfo::parse(text.as_ref().map_or("", ExposeSecret::expose_secret))
    }

    /// Whether a password is part of it.
    #[must_use]
    pub fn has_password(&self, field: Field) -> bool {
        self.hidden.contains_key(&field)
    }

    /// The rows that hold: what was answered, else what holds without an answer.
    #[must_use]
    pub fn rows(&self, field: Field) -> Vec<String> {
        match self.standing(field) {
            [] => self.default_rows(field),
            rows => rows.to_vec(),
        }
    }

    /// What was answered and can still be: a choice that another answer has taken away does not stand.
    #[must_use]
    pub fn standing(&self, field: Field) -> &[String] {
        let rows = self.given(field);
        let Kind::Choice(choices) = field.spec().kind else {
            return rows;
        };
        let possible = |row: &String| {
            choices
                .iter()
                .any(|choice| choice.value == row && (choice.possible)(self))
        };
        if rows.iter().all(possible) { rows } else { &[] }
    }

    /// The first of [`Form::rows`], or nothing.
    #[must_use]
    pub fn text(&self, field: Field) -> String {
        self.rows(field).into_iter().next().unwrap_or_default()
    }

    /// What holds where nothing is answered: what is saved, else what setup would take.
    #[must_use]
    pub fn default_rows(&self, field: Field) -> Vec<String> {
        let saved = &self.saved;
        let first = saved.access.first();
        let usual = usual();
        let access = usual.and_then(|usual| usual.access.first());
        let path = |path: &Option<PathBuf>| path.iter().map(|path| path.display().to_string()).collect();
        let number = |number: Option<i64>| number.iter().map(ToString::to_string).collect();
        let or = |own: Vec<String>, other: Option<Vec<String>>| {
            if own.is_empty() {
                other.unwrap_or_default()
            } else {
                own
            }
        };
        match field {
            Field::Run => vec![saved.run.clone().unwrap_or_else(|| self.best_run().to_owned())],
            Field::Mode => vec![
                saved
                    .mode
                    .clone()
                    .unwrap_or_else(|| Mode::OneWay.name().to_owned()),
            ],
            Field::Auth => vec![self.usual_auth().to_owned()],
            Field::Source => vec![self.saved_source().to_owned()],
            Field::Host => or(
                saved.hosts.clone(),
                self.dialled_by_the_admin()
                    .or_else(|| usual.map(|usual| usual.hosts.iter().map(ToString::to_string).collect())),
            ),
            Field::Port => number(saved.port),
            Field::Database => or(
                saved.database.iter().cloned().collect(),
                first
                    .and_then(|first| first.databases.first())
                    .or_else(|| access.and_then(|access| access.databases.first()))
                    .map(|name| vec![name.clone()]),
            ),
            Field::User => or(
                saved.user.iter().cloned().collect(),
                first
                    .and_then(|first| first.role.as_ref())
                    .or_else(|| access.map(|access| &access.role))
                    .map(|name| vec![name.clone()]),
            ),
            Field::Allow => or(
                saved.allow.clone(),
                first
                    .map(|first| first.addresses.clone())
                    .filter(|addresses| !addresses.is_empty())
                    .or_else(|| {
                        access.map(|access| access.addresses.iter().map(ToString::to_string).collect())
                    }),
            ),
            Field::Client => or(
                saved.clients.iter().map(client_text).collect(),
                // On a server that is there every role may be meant.
                self.makes().then(|| vec![self.text(Field::User)]),
            ),
            Field::ClientSource => vec![if saved.client_ca.is_some() { THEIRS } else { OURS }.to_owned()],
            Field::ClientCa => path(&saved.client_ca),
            Field::Algorithm => {
                vec![
                    saved
                        .algorithm
                        .clone()
                        .unwrap_or_else(|| Algorithm::P256.name().to_owned()),
                ]
            }
            Field::Days => or(
                number(saved.days),
                usual.map(|usual| vec![usual.days.to_string()]),
            ),
            Field::CaDays => or(
                number(saved.ca_days),
                usual.map(|usual| vec![usual.ca_days.to_string()]),
            ),
            Field::PgVersion => number(saved.pg_version),
            Field::PgBin => path(&saved.pg_bin),
            Field::Image => saved.image.iter().cloned().collect(),
            Field::CaCert => path(&saved.ca_cert),
            Field::CaKey => path(&saved.ca_key),
            Field::ServerCert => path(&saved.server_cert),
            Field::ServerKey => path(&saved.server_key),
            Field::Root => path(&saved.root),
            Field::Signed
            | Field::ClientCert
            | Field::ClientKey
            | Field::PasswordFile
            | Field::PassphraseFile
            | Field::Conninfo
            | Field::Admin
            | Field::ConfigDir
            | Field::Kit => Vec::new(),
        }
    }

    /// What holds without an answer, said in words, for whoever cannot see it dimmed in its place.
    #[must_use]
    pub fn default_in_words(&self, field: Field) -> String {
        let rows = self.default_rows(field);
        let spec = field.spec();
        if let Kind::Choice(choices) = spec.kind {
            let chosen = choices
                .iter()
                .find(|choice| rows.first().is_some_and(|row| row == choice.value));
            return chosen.map_or_else(String::new, |choice| choice.label.to_owned());
        }
        if rows.iter().all(String::is_empty) {
            let without = match field {
                Field::Client if self.has_client_ca() => "each is called like its role",
                Field::Client => "every role that may log in",
                _ => spec.without,
            };
            return without.to_owned();
        }
        let rows: Vec<_> = rows.iter().map(|row| printable(row)).collect();
        rows.join(", ")
    }

    /// The chosen answer of a question, in a word or two.
    #[must_use]
    pub fn chosen_in_words(&self, field: Field) -> String {
        let chosen = self.text(field);
        let choices = self.choices(field);
        let choice = choices.iter().find(|choice| choice.value == chosen);
        choice.map_or_else(String::new, |choice| choice.label.to_owned())
    }

    /// The choices of a question that can be carried out here.
    #[must_use]
    pub fn choices(&self, field: Field) -> Vec<&'static Choice> {
        match field.spec().kind {
            Kind::Choice(choices) => choices.iter().filter(|choice| (choice.possible)(self)).collect(),
            Kind::Text | Kind::List => Vec::new(),
        }
    }

    /// Whether this question is asked, given the other answers.
    #[must_use]
    pub fn asks(&self, field: Field) -> bool {
        (field.spec().asked)(self)
    }

    /// Whether a server is only to be checked, and nothing made.
    #[must_use]
    pub fn only_checks(&self) -> bool {
        self.text(Field::Run) == CHECK
    }

    /// Whether a server that is there is hardened.
    #[must_use]
    pub fn hardens(&self) -> bool {
        self.text(Field::Run) == HARDEN
    }

    /// Whether a CA elsewhere is asked for the server's certificate.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.hardens() && self.text(Field::Source) == REQUEST
    }

    /// Whether a server, or the files of one, are made.
    #[must_use]
    pub fn makes(&self) -> bool {
        !self.only_checks() && !self.hardens()
    }

    /// Whether both sides prove themselves.
    #[must_use]
    pub fn is_mtls(&self) -> bool {
        self.text(Field::Mode) == Mode::Mtls.name()
    }

    /// Whether clients prove themselves: here, or at a later stage of a server that is there.
    #[must_use]
    pub fn proves_clients(&self) -> bool {
        self.hardens() || (self.makes() && self.is_mtls())
    }

    /// Whether a CA whose key is elsewhere issues to the clients of a server that is there.
    #[must_use]
    pub fn has_client_ca(&self) -> bool {
        self.asks(Field::ClientCa)
    }

    /// Whether anybody logs in with a password.
    #[must_use]
    pub fn wants_password(&self) -> bool {
        self.text(Field::Auth) != Auth::Cert.name()
    }

    /// The answers as flags would give them: only what was answered and is asked; `mode` is always said, since
    /// setup has no default for it.
    #[must_use]
    pub fn flags(&self) -> Answers {
        self.read(&mut Vec::new())
    }

    /// The same for a server that is there: what is not answered follows from that server. What is said of its clients
    /// waits for the stage that asks for them.
    #[must_use]
    pub fn live_flags(&self, with_clients: bool) -> Answers {
        let flags = Answers {
            mode: None,
            run: None,
            ..self.flags()
        };
        if with_clients {
            flags
        } else {
            without_clients(flags)
        }
    }

    /// The names of a server that is there, as far as the way its administrator takes gives them away.
    fn dialled_by_the_admin(&self) -> Option<Vec<String>> {
        let conninfo = self.conninfo(Field::Admin).unwrap_or_default();
        self.hardens().then(|| crate::engine::harden::hosts(&conninfo))
    }

    fn read(&self, problems: &mut Vec<Problem>) -> Answers {
        let rows = |field: Field| -> Vec<String> {
            if !self.asks(field) {
                return Vec::new();
            }
            self.standing(field)
                .iter()
                .filter(|row| !row.trim().is_empty())
                .cloned()
                .collect()
        };
        let one = |field: Field| rows(field).into_iter().next();
        let file = |field: Field| one(field).map(PathBuf::from);
        // Files that were asked for and not named: setup says that they are missing.
        let must = |field: Field| {
            let named = file(field).or_else(|| self.default_rows(field).first().map(PathBuf::from));
            if self.asks(field) {
                named.or_else(|| Some(PathBuf::new()))
            } else {
                None
            }
        };
        let mut number = |field: Field| {
            let text = one(field)?;
            let spec = field.spec();
            whole_number(spec.flag, spec.key, &text)
                .map_err(|problem| problems.push(problem))
                .ok()
        };
        let (port, days, ca_days) = (number(Field::Port), number(Field::Days), number(Field::CaDays));
        let pg_version = number(Field::PgVersion);
        let image = one(Field::Image);
        Answers {
            mode: one(Field::Mode).or_else(|| {
                let unsaid = self.saved.mode.is_none();
                unsaid.then(|| self.text(Field::Mode))
            }),
            auth: one(Field::Auth),
            run: one(Field::Run)
                .filter(|run| run != CHECK && run != HARDEN)
                .or_else(|| {
                    let usual = self.saved.run.is_some() || self.best_run() == Run::Sandbox.name();
                    (!usual).then(|| self.best_run().to_owned())
                }),
            hosts: rows(Field::Host),
            port,
            user: one(Field::User),
            database: one(Field::Database),
            allow: rows(Field::Allow),
            access: Vec::new(),
            clients: rows(Field::Client)
                .iter()
                .map(|text| ClientAnswer::from_flag(text))
                .collect(),
            pg_version,
            pg_bin: file(Field::PgBin),
            image,
            algorithm: one(Field::Algorithm),
            days,
            ca_days,
            ca_cert: must(Field::CaCert),
            ca_key: must(Field::CaKey),
            server_cert: must(Field::ServerCert),
            server_key: must(Field::ServerKey),
            root: must(Field::Root).filter(|_| !self.is_requested()),
            client_ca: must(Field::ClientCa),
            password_file: file(Field::PasswordFile),
        }
    }

    /// What setup says of the answers, laid over what is saved.
    #[must_use]
    pub fn check(&self) -> Checked {
        let mut problems = Vec::new();
        let mut flags = self.read(&mut problems);
        if self.hardens() {
            problems.extend(self.client_problems(&flags));
            flags = without_clients(flags);
        }
        let judged = Setup::from_answers(&self.saved.clone().overlay(flags));
        let setup = match judged {
            Ok(setup) => problems.is_empty().then_some(setup),
            Err(more) => {
                problems.extend(more);
                None
            }
        };
        let mut faults: Vec<_> = problems.into_iter().map(|problem| self.sort(problem)).collect();
        faults.extend(self.conninfo_fault(Field::Conninfo));
        faults.extend(self.conninfo_fault(Field::Admin));
        Checked { setup, faults }
    }

    /// What setup says of the clients of a server that is there; that their roles may come in is for that server to say.
    fn client_problems(&self, flags: &Answers) -> Vec<Problem> {
        let alone = Answers {
            mode: Some(Mode::Mtls.name().to_owned()),
            run: Some(Run::None.name().to_owned()),
            auth: Some(self.text(Field::Auth)),
            clients: flags.clients.clone(),
            client_ca: flags.client_ca.clone(),
            ..Answers::default()
        };
        let mut problems = Setup::from_answers(&alone).err().unwrap_or_default();
        if !self.has_client_ca() {
            return problems;
        }
        let missing = |field: Field, reason: &str, remedy: &str| Problem {
            flag: field.spec().flag,
            key: field.spec().key.to_owned(),
            value: None,
            reason: reason.to_owned(),
            remedy: remedy.to_owned(),
        };
        if self.text(Field::ClientCa).trim().is_empty() {
            problems.retain(|problem| problem.flag != Field::ClientCa.spec().flag);
            problems.push(missing(
                Field::ClientCa,
                "the server judges clients by it",
                "name the file of its certificate",
            ));
        }
        let login = self.conninfo(Field::Admin).unwrap_or_default();
        let names_one = [Keyword::Sslcert, Keyword::Sslkey]
            .iter()
            .all(|keyword| login.get(*keyword).is_some());
        let pair = [Field::ClientCert, Field::ClientKey];
        let named = pair.map(|field| !self.text(field).trim().is_empty());
        if names_one && named == [false, false] {
            return problems;
        }
        if let Some(at) = named.iter().position(|is_named| !is_named) {
            problems.push(missing(
                pair[at],
                "it is needed to prove that whoever has one comes in",
                "name a client's certificate of that CA and its key, such as your own",
            ));
        }
        problems
    }

    /// What libpq's rules say of the connection string.
    fn conninfo_fault(&self, field: Field) -> Option<Fault> {
        let error = self.conninfo(field).err().filter(|_| self.asks(field))?;
        Some(Fault {
            field,
            row: None,
            problem: Problem {
                flag: "",
                key: field.spec().key.to_owned(),
                value: None,
                reason: error.to_string(),
                remedy: "write it as you would for psql".to_owned(),
            },
        })
    }

    /// Which question a problem is about, and which row.
    fn sort(&self, problem: Problem) -> Fault {
        let field = Field::ALL
            .into_iter()
            .find(|field| !problem.flag.is_empty() && field.spec().flag == problem.flag)
            .unwrap_or_else(|| match problem.key.rsplit('.').next() {
                Some("databases") => Field::Database,
                Some("addresses") => Field::Allow,
                _ => Field::User,
            });
        // Setup quotes the row as it was given: the first row that reads so is meant.
        let row = problem.value.as_ref().and_then(|value| {
            let value = value.trim_matches('"');
            self.rows(field).iter().position(|row| {
                printable(row) == value || row.rsplit_once('=').is_some_and(|(cn, _)| printable(cn) == value)
            })
        });
        Fault { field, row, problem }
    }

    fn best_run(&self) -> &'static str {
        match &self.seen {
            Some(seen) if !seen.can_run_here() && seen.docker.is_some() => Run::Compose.name(),
            Some(seen) if !seen.can_run_here() => Run::None.name(),
            _ => Run::Sandbox.name(),
        }
    }

    fn usual_auth(&self) -> &'static str {
        let saved = self.saved.auth.as_deref();
        match (self.hardens(), self.is_mtls(), saved) {
            (true, _, Some("cert")) => Auth::Cert.name(),
            (true, ..) | (_, true, Some("scram+cert")) => Auth::ScramCert.name(),
            (_, true, _) => Auth::Cert.name(),
            _ => Auth::Scram.name(),
        }
    }

    fn saved_source(&self) -> &'static str {
        if self.saved.server_cert.is_some() {
            GIVEN
        } else if self.saved.ca_cert.is_some() {
            CA
        } else {
            OWN
        }
    }
}

/// `Field::Run`: only a check of a server that is there.
pub const CHECK: &str = "check";
/// `Field::Run`: a server that is there is hardened.
pub const HARDEN: &str = "harden";
/// `Field::Source`: a CA of pgtls's making.
pub const OWN: &str = "own";
/// `Field::Source`: a CA that the person holds.
pub const CA: &str = "ca";
/// `Field::Source`: a server certificate that the person was given.
pub const GIVEN: &str = "given";

/// `Field::Source`: a CA of the person's, elsewhere, which answers a request.
pub const REQUEST: &str = "request";

/// `Field::ClientSource`: client certificates are made here.
pub const OURS: &str = "ours";
/// `Field::ClientSource`: they are those of a CA whose key is elsewhere.
pub const THEIRS: &str = "theirs";

/// What setup takes where nothing is said but the mode.
fn usual() -> Option<&'static Setup> {
    static USUAL: OnceLock<Option<Setup>> = OnceLock::new();
    USUAL
        .get_or_init(|| {
            let answers = Answers {
                mode: Some(Mode::OneWay.name().to_owned()),
                ..Answers::default()
            };
            Setup::from_answers(&answers).ok()
        })
        .as_ref()
}

fn without_clients(flags: Answers) -> Answers {
    Answers {
        auth: None,
        clients: Vec::new(),
        client_ca: None,
        ..flags
    }
}

fn client_text(client: &ClientAnswer) -> String {
    let cn = client.cn.clone().unwrap_or_default();
    match &client.role {
        Some(role) if *role != cn => format!("{cn}={role}"),
        _ => cn,
    }
}
