//! What pgtls claims of a server, against PostgreSQL's own word: who fares how, which line decides.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::super::support::{Account, TestServer, psql_as};
use super::trial::State;
use super::walk::{End, Held, Kind, Login};

/// Lines that decided over a login: the file where the log says one, and the line.
pub type Used = BTreeSet<(Option<String>, u64)>;

pub fn found(logins: &[Login], who: usize, kind: Kind) -> Option<&Login> {
    logins.iter().find(|login| login.who == who && login.kind == kind)
}

/// Who fares otherwise than they must after that stage. `is_alone`: a certificate takes the place of the password.
pub fn judged(stage: &str, states: &[State], logins: &[Login], is_alone: bool) -> Vec<String> {
    let before = &states.last().unwrap().logins;
    let of =
        |state: &State, login: &Login, kind| found(&state.logins, login.who, kind).map(|login| login.end);
    let last = states.last().unwrap();
    let certificates = stage == "mtls" || last.certificates;
    // With TLS and without a certificate, before certificates were wanted.
    let with_tls = |login: &Login| {
        let mut at = states
            .iter()
            .rev()
            .filter(|state| state.after != "nothing" && !state.certificates);
        at.next().and_then(|state| of(state, login, Kind::Tls))
    };
    let mut wrong = Vec::new();
    for login in logins {
        let then = found(before, login.who, login.kind).map(|login| login.end);
        let first = of(&states[0], login, login.kind);
        let must = match login.kind {
            Kind::Plain if last.no_plaintext || matches!(stage, "require" | "mtls") => Some(End::ByTheRules),
            // The socket is nobody's to close.
            Kind::Local | Kind::Plain => first,
            // Whoever comes as libpq comes by itself comes in as before.
            Kind::Prefer if last.no_plaintext => None,
            Kind::Prefer => (of(&states[0], login, Kind::Plain) == Some(End::In)).then_some(End::In),
            // Nobody could come that way yet; whoever could still can.
            Kind::Tls if !certificates && last.after == "nothing" => {
                (first == Some(End::In)).then_some(End::In)
            }
            Kind::Tls if !certificates => then,
            kind => match with_tls(login) {
                Some(End::In) if kind == Kind::Tls => Some(End::NoCertificate),
                // A line that asked for certificates already, or a password that a certificate takes the place of.
                Some(End::NoCertificate) => None,
                Some(End::ByProof) if is_alone || kind == Kind::Tls => None,
                end => end,
            },
        };
        if must.is_some_and(|must| must != login.end) {
            wrong.push(format!(
                "{}is {:?}, and should be {must:?}",
                login.told, login.end
            ));
        }
        if certificates && login.kind == Kind::Tls && login.end.is_in() {
            wrong.push(format!("{}comes in without a certificate", login.told));
        }
    }
    wrong
}

/// Whom a plan said to turn away is turned away, by the line that it named, and nobody else of those who stay.
pub fn foretold(
    impact: &Value,
    held: &[Held],
    before: &[Login],
    logins: &[Login],
    rules: &[Rule],
) -> Vec<String> {
    let row = |list: &str, name: &str| {
        let mut rows = impact[list].as_array().into_iter().flatten();
        rows.find(|row| row["application"] == *name).cloned()
    };
    let mut wrong = Vec::new();
    for one in held.iter().filter(|one| row("unsure", &one.name).is_none()) {
        let Some(login) = found(logins, one.who, one.kind) else {
            continue;
        };
        let refused = row("refused", &one.name);
        // Whom the rules refuse already is not held against the stage.
        let was_out = found(before, one.who, one.kind).is_some_and(|then| !then.end.is_in());
        if was_out && refused.is_none() && !login.end.is_in() {
            continue;
        }
        if refused.is_some() == login.end.is_in() {
            wrong.push(format!(
                "{}the plan said of {:?} that it would {}be refused",
                login.told,
                one.name,
                if login.end.is_in() { "" } else { "not " }
            ));
        }
        // The line that is named for a reject is one that rejects, by PostgreSQL's own reading.
        let line = refused.as_ref().filter(|_| login.end == End::ByTheRules);
        if let Some(line) = line.and_then(|row| row["line"].as_str()) {
            let is_it = |rule: &Rule| line.starts_with(&format!("{}:{} ", rule.file, rule.line));
            if !rules.is_empty() && !rules.iter().any(|rule| is_it(rule) && rule.method == "reject") {
                wrong.push(format!("{}the plan said that it would be by {line}", login.told));
            }
        }
    }
    wrong
}

/// Whether that line decided over a login.
fn has(used: &Used, file: &str, line: u64) -> bool {
    used.iter()
        .any(|(at, number)| *number == line && at.as_deref().is_none_or(|at| at == file))
}

/// A line of `pg_hba.conf`, as PostgreSQL reads it.
pub struct Rule {
    file: String,
    line: u64,
    kind: String,
    method: String,
}

/// The lines as PostgreSQL reads them.
pub fn rules(server: &TestServer, major: u16) -> Vec<Rule> {
    let file = if major >= 16 {
        "file_name"
    } else {
        "current_setting('hba_file')"
    };
    let sql = format!(
        "select type, auth_method, line_number, {file} from pg_hba_file_rules where type is not null"
    );
    // A name that is no text of the database keeps the whole view back.
    let text = psql_as(&Account::server(), &server.socket(), &sql).stdout;
    let rule = |line: &str| {
        let mut fields = line.splitn(4, '|').map(str::to_owned);
        let mut next = || fields.next().unwrap();
        Rule {
            kind: next(),
            method: next(),
            line: next().parse().unwrap(),
            file: next(),
        }
    };
    text.lines().map(rule).collect()
}

/// What of an audit is not so. `used`: the lines that have decided since the server began.
pub fn wrong(audit: &Value, logins: &[Login], rules: &[Rule], used: Option<&Used>) -> Vec<String> {
    const OPEN: [&str; 6] = [
        "plaintext-way-in",
        "plaintext-way-in-loopback",
        "password-in-clear",
        "replication-plaintext",
        "trust-remote",
        "trust-loopback",
    ];
    let mut wrong = Vec::new();
    let mut is_open = false;
    for finding in audit["findings"].as_array().unwrap() {
        let id = finding["id"].as_str().unwrap();
        let place = || {
            let (file, line) = finding["where"].as_str().unwrap().rsplit_once(':').unwrap();
            (file, line.parse::<u64>().unwrap())
        };
        if OPEN.contains(&id) {
            is_open = true;
            let (file, line) = place();
            // The way to it may be a link.
            let real = |path: &str| Path::new(path).canonicalize().ok();
            let is_it = |rule: &&Rule| rule.file == file || real(&rule.file) == real(file);
            let rule = rules.iter().find(|rule| rule.line == line && is_it(rule));
            let is_one = rule.is_some_and(|rule| rule.kind.starts_with("host") && rule.method != "reject");
            if !rules.is_empty() && !is_one {
                wrong.push(format!("{finding}: PostgreSQL reads no such line there"));
            }
        }
        if let ("hba-shadowed" | "hba-shadowed-cert", Some(used)) = (id, used) {
            let (file, line) = place();
            // Before 16 the log names no file, and there are no others.
            if has(used, file, line) {
                wrong.push(format!("{finding}: it decides over a login"));
            }
        }
    }
    let comes = |login: &&Login| login.kind == Kind::Plain && login.end.is_in();
    if let Some(login) = logins.iter().find(comes).filter(|_| !is_open) {
        wrong.push(format!("{}and no way in without TLS is found", login.told));
    }
    wrong
}

/// The lines of `pg_hba.conf` that decided over a login, by the server's log: the file where it says one, and the line.
pub fn lines_used(log: &str) -> Used {
    let number = |text: &str| -> Option<u64> {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text[..end].parse().ok()
    };
    let mut used = BTreeSet::new();
    for line in log.lines() {
        // `Connection matched file "…" line 7: "…"` (16), `Connection matched pg_hba.conf line 7: "…"` (15).
        if let Some((_, rest)) = line.split_once("Connection matched ") {
            let file = rest.strip_prefix("file \"").and_then(|rest| rest.split_once('"'));
            let rest = file.map_or(rest, |(_, rest)| rest);
            if let Some(line) = rest.split_once("line ").and_then(|(_, rest)| number(rest)) {
                used.insert((file.map(|(file, _)| file.to_owned()), line));
            }
        }
        // `connection authenticated: identity="app" method=md5 (…/pg_hba.conf:7)` (14).
        if let Some((_, rest)) = line.split_once("connection authenticated: ")
            && let Some((_, place)) = rest.rsplit_once(" (")
            && let Some((file, line)) = place.trim_end_matches(')').rsplit_once(':')
            && let Some(line) = number(line)
        {
            used.insert((Some(file.to_owned()), line));
        }
    }
    used
}
