//! The server's log, its last part: entries in whichever format it is written, and the one that is about us.
//!
//! Sources: <https://www.postgresql.org/docs/current/runtime-config-logging.html> (formats, `log_line_prefix`) and
//! <https://www.postgresql.org/docs/current/functions-info.html> (`pg_current_logfile`).

use std::path::PathBuf;
use std::time::Duration;

use super::super::languages;
use super::super::over_sql::OverSql;
use super::super::shorten;

/// How much of the log's end is looked at.
const MOST: u64 = 256 << 10;
/// The longest text of an entry that is kept.
const LONGEST: usize = 600;
/// How long an entry may take from the process to the file, through the collector.
const PATIENCE: Duration = Duration::from_millis(600);
const PAUSE: Duration = Duration::from_millis(30);

/// Where the log is. Without a collector it is wherever the server's standard error goes, which each of its processes
/// can open anew if that is a file.
const WHERE: &str = "SELECT CASE WHEN file IS NULL THEN '/proc/self/fd/2' WHEN file LIKE '/%' THEN file \
    ELSE current_setting('data_directory') || '/' || file END AS path, file IS NULL AS bare \
    FROM pg_current_logfile() AS file";

/// A log that is looked into from some place on.
#[derive(Debug)]
pub struct Log {
    /// What it is called to a person.
    pub name: String,
    path: PathBuf,
    from: u64,
}

/// One entry.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When, as the log has it.
    time: String,
    severity: String,
    pub(super) message: String,
    detail: Option<String>,
    hint: Option<String>,
    pub(super) process: Option<u32>,
    port: Option<u16>,
}

impl Log {
    /// The log from now on.
    pub async fn from_now(sql: &mut OverSql<'_>) -> Option<Self> {
        let (log, size) = Self::open(sql).await?;
        Some(Self { from: size, ..log })
    }

    /// The log's last part.
    pub async fn last_part(sql: &mut OverSql<'_>) -> Option<Self> {
        let (log, size) = Self::open(sql).await?;
        Some(Self {
            from: size.saturating_sub(MOST),
            ..log
        })
    }

    /// The entries that were added since the last time; of a log that was begun anew, those of the new one.
    pub(super) async fn more(&mut self, sql: &mut OverSql<'_>) -> Vec<Entry> {
        let Some((now, size)) = Self::open(sql).await else {
            return Vec::new();
        };
        if now.path != self.path || size < self.from {
            *self = now;
        }
        let Ok(mut bytes) = sql.from(&self.path, self.from).await else {
            return Vec::new();
        };
        // What is not written to its end is read the next time.
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        bytes.truncate(whole);
        self.from += whole as u64;
        self.entries(&bytes)
    }

    async fn open(sql: &mut OverSql<'_>) -> Option<(Self, u64)> {
        let rows = sql.query(WHERE).await.ok()?;
        let path = PathBuf::from(rows.value(0, "path")?);
        let name = if rows.value(0, "bare") == Some("t") {
            "the server's log (its standard error)".to_owned()
        } else {
            format!(
                "the server's log ({})",
                crate::pki::printable(&path.to_string_lossy())
            )
        };
        let size = sql.size(&path).await?;
        Some((Self { name, path, from: 0 }, size))
    }

    /// The entry that is wanted from the connection with this port of ours; if the log tells no ports, the newest that
    /// is wanted. It is waited for a moment.
    pub async fn find(
        &self,
        sql: &mut OverSql<'_>,
        port: Option<u16>,
        wanted: impl Fn(&Entry) -> bool,
    ) -> Option<Entry> {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let entries = self.read(sql).await?;
            let ours = port.and_then(|port| of_port(&entries, port).rfind(|entry| wanted(entry)));
            let waits = port.is_some() && tells_ports(&entries) && tokio::time::Instant::now() < until;
            if ours.is_none() && waits {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            return ours
                .or_else(|| entries.iter().rfind(|entry| wanted(entry)))
                .cloned();
        }
    }

    /// All that is told of these connections of ours, once it is more than that they came.
    pub async fn of(&self, sql: &mut OverSql<'_>, ports: &[u16]) -> Vec<Entry> {
        let until = tokio::time::Instant::now() + PATIENCE / 4;
        loop {
            let Some(entries) = self.read(sql).await else {
                return Vec::new();
            };
            let told: Vec<Entry> = ports
                .iter()
                .flat_map(|port| of_port(&entries, *port))
                .filter(|entry| entry.port_of_arrival().is_none())
                .cloned()
                .collect();
            let waits = told.is_empty() && tells_ports(&entries) && tokio::time::Instant::now() < until;
            if !waits {
                return told;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn read(&self, sql: &mut OverSql<'_>) -> Option<Vec<Entry>> {
        let bytes = sql.from(&self.path, self.from).await.ok()?;
        Some(self.entries(&bytes))
    }

    fn entries(&self, bytes: &[u8]) -> Vec<Entry> {
        let text = String::from_utf8_lossy(bytes);
        match self.path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => text.lines().filter_map(json).collect(),
            Some("csv") => records(&text).iter().filter_map(|record| csv(record)).collect(),
            _ => plain(&text),
        }
    }

    #[cfg(test)]
    pub(super) fn nowhere() -> Self {
        Self {
            name: String::new(),
            path: PathBuf::new(),
            from: 0,
        }
    }
}

fn tells_ports(entries: &[Entry]) -> bool {
    entries.iter().any(|entry| entry.port.is_some())
}

/// The entries of the process that serves the connection from that port: of the newest one, if there were more.
fn of_port(entries: &[Entry], port: u16) -> impl DoubleEndedIterator<Item = &Entry> {
    let newest = entries.iter().rfind(|entry| entry.port == Some(port));
    let process = newest.and_then(|entry| entry.process);
    entries
        .iter()
        .filter(move |entry| entry.port == Some(port) || (process.is_some() && entry.process == process))
}

impl Entry {
    /// Whether it says why a session did not come about, in the very words that the client got.
    pub fn is_refusal(&self, told: &[String]) -> bool {
        let message = crate::pki::printable(&self.message);
        message.len() > 8 && told.iter().any(|line| line.contains(&message))
    }

    /// Whether it says why a handshake did not come about: in the server's language, and behind a colon in OpenSSL's.
    pub fn is_handshake(&self) -> bool {
        let reason = self
            .message
            .rsplit_once(": ")
            .map(|(said, reason)| (said.contains("SSL"), reason));
        reason.is_some_and(|(is_tls, reason)| is_tls && reason.is_ascii())
            && !self.message.contains(['"', '/'])
    }

    /// Whether it names the line of `pg_hba.conf` that decided.
    pub fn names_the_line(&self) -> bool {
        self.detail
            .as_deref()
            .is_some_and(|detail| detail.contains(".conf") && detail.contains(|c: char| c.is_ascii_digit()))
    }

    /// Our port, where it says that a connection was received: `host=127.0.0.1 port=40000`, whatever these two are called.
    fn port_of_arrival(&self) -> Option<u16> {
        let mut words = self.message.split_whitespace().rev();
        let (_, port) = words.next()?.rsplit_once('=')?;
        words
            .take(2)
            .any(|word| word.contains('='))
            .then(|| port.parse().ok())?
    }

    /// What it says, safe to show, a line for the message and one for each text that goes with it.
    pub fn told(&self, log: &str) -> Vec<String> {
        let shown = |text: &str| crate::pki::printable(&shorten(&text.replace('\n', " "), LONGEST));
        let more = |label: &str, text: &Option<String>| {
            text.as_deref()
                .map(|text| format!("the log's {label}:  {}", shown(text)))
        };
        let first = format!(
            "{log}: {} {}:  {}",
            shown(&self.time),
            self.severity,
            shown(&self.message)
        );
        std::iter::once(first)
            .chain(more("DETAIL", &self.detail))
            .chain(more("HINT", &self.hint))
            .collect()
    }

    /// From a connection's first entry, which is all that tells its port without `%r` in the prefix.
    fn with_port_of_message(mut self) -> Self {
        self.port = self.port.or_else(|| self.port_of_arrival());
        self
    }
}

/// What begins what belongs to the entry before, beside its detail and its hint. In other languages these look like
/// entries, which does no harm: nobody asks for them.
const PARTS: [&str; 4] = ["CONTEXT", "STATEMENT", "QUERY", "LOCATION"];

/// Which text of an entry goes on in the lines that follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Message,
    Detail,
    Hint,
    Other,
}

/// Where a line's label stands, and the label: a word of any language with a colon and two blanks behind it.
fn label(line: &str) -> Option<(usize, &str)> {
    line.match_indices(':').find_map(|(at, _)| {
        // French puts a blank before the colon.
        let before = line[..at].trim_end();
        let is_of_word = |c: char| c.is_alphabetic() || c == '_';
        let from = before
            .char_indices()
            .rev()
            .take_while(|(_, c)| is_of_word(*c))
            .last()?
            .0;
        let blanks = &line[at + 1..];
        let has_space = blanks.starts_with("  ") || (before.len() < at && blanks.starts_with(' '));
        let is_apart = line[..from]
            .chars()
            .next_back()
            .is_none_or(|c| !c.is_alphanumeric());
        (has_space && is_apart).then(|| (from, &before[from..]))
    })
}

/// The text format: `prefix LABEL:  text`, and further lines of a text behind a tab.
pub(super) fn plain(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut part = Part::Other;
    for line in text.lines() {
        let continued = line.strip_prefix('\t');
        match label(line).filter(|_| continued.is_none()) {
            Some((at, label)) => {
                let said = line[at..]
                    .split_once(':')
                    .map_or("", |(_, said)| said.trim_start());
                part = match label {
                    _ if languages::DETAIL.contains(&label) => Part::Detail,
                    _ if languages::HINT.contains(&label) => Part::Hint,
                    _ if PARTS.contains(&label) => Part::Other,
                    _ => Part::Message,
                };
                match (part, entries.last_mut()) {
                    (Part::Message, _) => entries.push(begun(&line[..at], label, said)),
                    (Part::Detail, Some(entry)) => entry.detail = Some(said.to_owned()),
                    (Part::Hint, Some(entry)) => entry.hint = Some(said.to_owned()),
                    _ => {}
                }
            }
            None => {
                if let (Some(entry), Some(more)) = (entries.last_mut(), continued) {
                    go_on(entry, part, more);
                }
            }
        }
    }
    entries
}

fn begun(prefix: &str, severity: &str, message: &str) -> Entry {
    Entry {
        time: prefix.trim().to_owned(),
        severity: severity.to_owned(),
        message: message.to_owned(),
        process: within(prefix, '[', ']'),
        port: within(prefix, '(', ')'),
        ..Entry::default()
    }
    .with_port_of_message()
}

fn go_on(entry: &mut Entry, part: Part, more: &str) {
    let text = match part {
        Part::Detail => entry.detail.get_or_insert_default(),
        Part::Hint => entry.hint.get_or_insert_default(),
        Part::Message => &mut entry.message,
        Part::Other => return,
    };
    if text.len() < LONGEST {
        text.push(' ');
        text.push_str(more);
    }
}

/// The first number in such brackets: `%p` is usually written `[%p]`, and `%r` writes `host(port)`.
fn within<T: std::str::FromStr>(text: &str, open: char, close: char) -> Option<T> {
    text.split(open)
        .skip(1)
        .find_map(|rest| rest.split_once(close)?.0.parse().ok())
}

fn json(line: &str) -> Option<Entry> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    let number = |name: &str| value[name].as_u64();
    Some(
        Entry {
            time: text("timestamp").unwrap_or_default(),
            severity: text("error_severity")?,
            message: text("message").unwrap_or_default(),
            detail: text("detail"),
            hint: text("hint"),
            process: number("pid").and_then(|pid| pid.try_into().ok()),
            port: number("remote_port").and_then(|port| port.try_into().ok()),
        }
        .with_port_of_message(),
    )
}

/// The records of a comma-separated text, quotes taken off. It may begin in the middle of one: that is passed over, up
/// to the next line that begins with a year.
fn records(text: &str) -> Vec<Vec<String>> {
    let begin = if text.starts_with("20") {
        0
    } else {
        text.find("\n20").map_or(text.len(), |at| at + 1)
    };
    let text = &text[begin..];
    let mut records = Vec::new();
    let (mut record, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, quoted) {
            ('"', true) if characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            ('"', _) => quoted = !quoted,
            (',', false) => record.push(std::mem::take(&mut field)),
            ('\n', false) => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            _ => field.push(character),
        }
    }
    records
}

/// The columns as <https://www.postgresql.org/docs/current/runtime-config-logging.html#RUNTIME-CONFIG-LOGGING-CSVLOG> has
/// them.
fn csv(record: &[String]) -> Option<Entry> {
    let text = |at: usize| record.get(at).filter(|text| !text.is_empty()).cloned();
    Some(
        Entry {
            time: text(0)?,
            severity: text(11)?,
            message: text(13).unwrap_or_default(),
            detail: text(14),
            hint: text(15),
            process: text(3).and_then(|pid| pid.parse().ok()),
            port: text(4).and_then(|from| from.rsplit_once(':')?.1.parse().ok()),
        }
        .with_port_of_message(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "\
2026-11-25 10:00:00.000 UTC [7] LOG:  connection received: host=127.0.0.1 port=4000
2026-11-25 10:00:00.001 UTC [8] LOG:  connection received: host=127.0.0.1 port=4001
2026-11-25 10:00:00.002 UTC [7] FATAL:  password authentication failed for user \"app\"
2026-11-25 10:00:00.002 UTC [7] DETAIL:  Connection matched pg_hba.conf line 9: \"hostssl all
\tall all scram-sha-256\"
2026-11-25 10:00:00.003 UTC [8] FATAL:  password authentication failed for user \"app\"
2026-11-25 10:00:00.003 UTC [8] DETAIL:  Connection matched pg_hba.conf line 10: \"host all all all md5\"
2026-11-25 10:00:00.004 UTC [8] STATEMENT:  none
";

    #[test]
    fn the_entry_of_our_connection_is_found_among_others_by_its_process() {
        let entries = plain(PLAIN);
        let told = ["FATAL: password authentication failed for user \"app\" (SQLSTATE 28P01)".to_owned()];
        let of = |port| {
            let entry = of_port(&entries, port).rfind(|entry| entry.is_refusal(&told))?;
            entry.detail.clone()
        };
        assert_eq!(
            of(4000).unwrap(),
            "Connection matched pg_hba.conf line 9: \"hostssl all all all scram-sha-256\""
        );
        assert!(of(4001).unwrap().contains("line 10"));
        assert_eq!(of(4002), None);
        let entry = of_port(&entries, 4000).next_back().unwrap();
        assert!(entry.names_the_line());
        assert_eq!(
            entry.told("the log"),
            [
                "the log: 2026-11-25 10:00:00.002 UTC [7] FATAL:  password authentication failed for user \"app\"",
                "the log's DETAIL:  Connection matched pg_hba.conf line 9: \"hostssl all all all scram-sha-256\"",
            ]
        );
    }

    const GERMAN: &str = "\
2026-11-25 10:00:00.000 UTC [7] LOG:  Verbindung empfangen: Host=127.0.0.1 Port=4000
2026-11-25 10:00:00.002 UTC [7] FATAL:  Passwort-Authentifizierung für Benutzer »app« fehlgeschlagen
2026-11-25 10:00:00.002 UTC [7] DETAIL:  Verbindung stimmte mit pg_hba.conf-Zeile 9 überein: »hostssl all
\tall all scram-sha-256«
2026-11-25 10:00:00.003 UTC [8] LOG:  konnte SSL-Verbindung nicht annehmen: tlsv1 alert unknown ca
2026-11-25 10:00:00.004 UTC [8] ANWEISUNG:  keine
";
    const RUSSIAN: &str = "\
2026 [7] СООБЩЕНИЕ:  принято подключение: узел=127.0.0.1 порт=4000
2026 [7] ВАЖНО:  пользователь \"app\" не прошёл проверку подлинности (по паролю)
2026 [7] ПОДРОБНОСТИ:  Подключение соответствует строке 9 в pg_hba.conf: \"hostssl all all all scram-sha-256\"
";

    #[test]
    fn the_server_may_speak_another_language() {
        for (text, told) in [
            (
                GERMAN,
                "FATAL: Passwort-Authentifizierung für Benutzer »app« fehlgeschlagen (SQLSTATE 28P01)",
            ),
            (
                RUSSIAN,
                "FATAL: пользователь \"app\" не прошёл проверку подлинности (по паролю) (SQLSTATE 28P01)",
            ),
        ] {
            let entries = plain(text);
            let told = [told.to_owned()];
            let entry = of_port(&entries, 4000)
                .rfind(|entry| entry.is_refusal(&told))
                .unwrap();
            assert!(entry.names_the_line() && entry.detail.as_ref().unwrap().contains("scram-sha-256"));
            assert!(!entry.is_handshake());
            assert_eq!(entries[0].port_of_arrival(), Some(4000));
        }
        assert!(plain(GERMAN).iter().any(Entry::is_handshake));
    }

    #[test]
    fn a_prefix_with_the_address_tells_the_port_too() {
        let entries = plain(
            "2026 [7] app@app 127.0.0.1(4000) FATAL:  no\n2026 [8] app@app 127.0.0.1(4001) FATAL:  no\n",
        );
        let ports: Vec<_> = entries.iter().map(|entry| entry.port).collect();
        assert_eq!(ports, [Some(4000), Some(4001)]);
    }

    #[test]
    fn the_other_formats_say_the_same() {
        let line = r#"{"timestamp":"2026-11-25 10:00:00.002 UTC","pid":7,"remote_host":"127.0.0.1","remote_port":4000,"error_severity":"FATAL","message":"no","detail":"why"}"#;
        let from_json = json(line).unwrap();
        let text = "ond half\",1\n2026-11-25 10:00:00.002 UTC,\"app\",\"app\",7,\"127.0.0.1:4000\",s,1,\"authentication\",t,3/2,0,\
                    FATAL,28P01,\"no\",\"why\",,,,,,,,,\"\"\n";
        let from_csv = records(text).iter().find_map(|record| csv(record)).unwrap();
        assert_eq!(from_json, from_csv);
        assert_eq!((from_csv.process, from_csv.port), (Some(7), Some(4000)));
        assert_eq!(from_csv.detail.as_deref(), Some("why"));
    }

    #[test]
    fn what_a_log_says_is_escaped_and_cut() {
        let entries = plain(&format!("[7] FATAL:  \u{1b}[31m{}\n", "x".repeat(5000)));
        let told = entries[0].told("the log").concat();
        assert!(!told.contains('\u{1b}') && told.len() < 1000, "{told}");
    }

    #[test]
    fn no_bytes_are_beyond_it() {
        for text in [
            "",
            "\t",
            "\n\n",
            "LOG:  ",
            "\"",
            ",,,\n",
            "{",
            "DETAIL:  of nothing\n\tmore",
            "2026,\"\n",
        ] {
            drop((plain(text), json(text), records(text)));
        }
    }
}
