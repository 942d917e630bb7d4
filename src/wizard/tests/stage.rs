//! Where scripts are played: a model, keys by their names, and what is drawn.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Style;

use crate::apply::Action;
use crate::conninfo::SslMode;
use crate::engine::{Event, Step as Part};
use crate::plan::Line;
use crate::setup::Answers;
use crate::verify::modes::{Cell, CellOutcome, Matrix, Meets};
use crate::verify::{Outcome, Probe, ProbeId, Report, Verdict};
use crate::wizard::look::Seen;
use crate::wizard::message::{Effect, Failure, Landed, Message, Way};
use crate::wizard::model::{ModeCell, Model};
use crate::wizard::review::{File, Preview};
use crate::wizard::theme::Theme;
use crate::wizard::update::update;
use crate::wizard::view::{Drawn, view};

/// A model and what it asked for.
#[derive(Clone)]
pub struct Stage {
    pub model: Model,
    pub effects: Vec<Effect>,
    /// Looks at every screen of a lesson.
    pub look: Option<fn(&Self)>,
}

impl Stage {
    /// An empty directory on a machine with PostgreSQL.
    pub fn new(size: (u16, u16)) -> Self {
        let mut stage = Self {
            model: Model::new(".".into(), "~/shop-db", Answers::default(), Theme::FULL, size),
            effects: Vec::new(),
            look: None,
        };
        stage.send(Message::Seen(seen()));
        stage
    }

    /// Something happens.
    pub fn send(&mut self, message: Message) -> &mut Self {
        self.effects = update(&mut self.model, message);
        self
    }

    /// Keys by their names, parted by blanks; what is no name is typed.
    pub fn keys(&mut self, keys: &str) -> &mut Self {
        for name in keys.split(' ') {
            match key(name) {
                Some(event) => _ = self.send(Message::Key(event)),
                None => _ = self.type_in(name),
            }
        }
        self
    }

    /// Types text.
    pub fn type_in(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            self.send(Message::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)));
        }
        self
    }

    /// The cells as a terminal gets them.
    pub fn buffer(&self) -> Buffer {
        let (columns, rows) = self.model.size;
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        terminal
            .draw(|frame| _ = view(&self.model, frame.buffer_mut()))
            .unwrap();
        terminal.backend().buffer().clone()
    }

    /// What can be clicked, and where the cursor is.
    pub fn drawn(&self) -> Drawn {
        let (columns, rows) = self.model.size;
        let mut buffer = Buffer::empty(ratatui::layout::Rect::new(0, 0, columns, rows));
        view(&self.model, &mut buffer)
    }

    /// The text on the screen.
    pub fn text(&self) -> String {
        text_of(&self.buffer())
    }

    /// A screenshot, compared with the one that was looked at and kept.
    #[track_caller]
    pub fn shot(&self, name: &str) {
        let (columns, rows) = self.model.size;
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("snapshots");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(format!("{name}_{columns}x{rows}"), self.text()));
    }

    /// The style in which this text is drawn, where it stands first.
    #[track_caller]
    pub fn style_of(&self, text: &str) -> Style {
        let buffer = self.buffer();
        let wide = text.chars().count();
        for y in 0..buffer.area.height {
            for x in 0..buffer.area.width.saturating_sub(u16::try_from(wide).unwrap() - 1) {
                let at: String = (0..wide)
                    .map(|step| buffer[(x + u16::try_from(step).unwrap(), y)].symbol().to_owned())
                    .collect();
                if at == text {
                    return buffer[(x, y)].style();
                }
            }
        }
        panic!("{text:?} is not in\n{}", text_of(&buffer));
    }
}

/// Lines without the blanks at their ends.
pub fn text_of(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            if skip > 0 {
                skip -= 1;
                continue;
            }
            skip = unicode_width::UnicodeWidthStr::width(symbol).saturating_sub(1);
            line.push_str(symbol);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn key(name: &str) -> Option<KeyEvent> {
    let (modifiers, rest) = match name.split_once('-') {
        Some(("Ctrl", rest)) => (KeyModifiers::CONTROL, rest),
        Some(("Alt", rest)) => (KeyModifiers::ALT, rest),
        Some(("Shift", rest)) => (KeyModifiers::SHIFT, rest),
        _ => (KeyModifiers::NONE, name),
    };
    let code = match rest {
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "Tab" => KeyCode::Tab,
        "Home" => KeyCode::Home,
        "End" => KeyCode::End,
        "Back" => KeyCode::Backspace,
        "Del" => KeyCode::Delete,
        "F1" => KeyCode::F(1),
        "F2" => KeyCode::F(2),
        "Space" => KeyCode::Char(' '),
        one if modifiers != KeyModifiers::NONE => KeyCode::Char(one.chars().next()?),
        _ => return None,
    };
    Some(KeyEvent::new(code, modifiers))
}

/// A machine with PostgreSQL, on which port 5432 is taken.
pub fn seen() -> Seen {
    Seen {
        postgres: vec!["17.10".into(), "15.18".into()],
        fetch: None,
        asking: false,
        docker: None,
        compose_file: None,
        faults_beside: 0,
        usual_port: Some("port 5432 on 127.0.0.1 is in use by `postgres` (process 812)".into()),
        running: None,
        names: vec!["shop-1".into(), "192.168.7.12".into()],
        admins: Vec::new(),
    }
}

fn line(text: &str, why: Option<&'static str>) -> Line {
    Line {
        text: text.into(),
        why,
    }
}

fn file(path: &str, action: Action, mode: u32, lines: Vec<Line>, description: Option<&str>) -> File {
    let diff = lines.iter().map(|line| format!("+{}", line.text));
    File {
        path: path.into(),
        action,
        edited: false,
        mode,
        diff: [
            "--- /dev/null".to_owned(),
            format!("+++ {path} ({mode:04o})"),
            format!("@@ -0,0 +1,{} @@", lines.len()),
        ]
        .into_iter()
        .chain(diff)
        .collect(),
        lines,
        description: description.map(str::to_owned),
    }
}

/// Files as a plan makes them; the texts are shorter.
pub fn preview() -> Preview {
    let hba = vec![
        line(
            "# Who may come in, and how. The first line that matches decides.",
            None,
        ),
        line(
            "local    all  postgres                trust",
            Some("hba-local-sandbox"),
        ),
        line(
            "hostssl  app  app       127.0.0.1/32  scram-sha-256",
            Some("hba-scram"),
        ),
        line(
            "hostssl  app  app       ::1/128       scram-sha-256",
            Some("hba-scram"),
        ),
        line("host     all  all       all           reject", Some("hba-reject")),
    ];
    let conf = vec![
        line("listen_addresses = 'localhost'", Some("listen-loopback")),
        line("port = 5433", Some("port")),
        line("ssl = on", Some("ssl")),
        line(
            "ssl_min_protocol_version = 'TLSv1.2'",
            Some("ssl-min-protocol-version"),
        ),
    ];
    Preview {
        files: vec![
            file(
                "pgtls.toml",
                Action::New,
                0o644,
                vec![line("mode = \"one-way\"", None)],
                None,
            ),
            file(
                "ca/root.crt",
                Action::New,
                0o644,
                Vec::new(),
                Some("certificate of CN=shop-db CA, SHA-256 5b:b0:92:3f"),
            ),
            file(
                "ca/ca.key",
                Action::New,
                0o600,
                Vec::new(),
                Some("P-256 private key, public key SHA-256 77:1c:e0:19"),
            ),
            file("server/postgresql.conf", Action::New, 0o600, conf, None),
            file("server/pg_hba.conf", Action::New, 0o600, hba, None),
            file(
                "clients/app/passfile",
                Action::New,
                0o600,
                Vec::new(),
                Some("a password of 128 random bits"),
            ),
            file(
                ".gitignore",
                Action::Changed,
                0o644,
                vec![line("/ca/ca.key", None)],
                None,
            ),
        ],
        port: Some(5433),
    }
}

/// What a journey tells, up to the start of the server.
pub fn told() -> Vec<Event> {
    let done = |step, note: &str, ms| Event::Done {
        step,
        note: note.into(),
        took: Duration::from_millis(ms),
    };
    vec![
        Event::Begin(Part::Find),
        done(Part::Find, "17.10 in /usr/lib/postgresql/17/bin", 107),
        Event::Begin(Part::Certificates),
        done(
            Part::Certificates,
            "made the CA CN=shop-db CA; issued a certificate for localhost",
            1,
        ),
        Event::Begin(Part::Write),
        done(Part::Write, "files written: 14 new", 86),
        Event::Begin(Part::Init),
        done(Part::Init, "database cluster made", 1700),
        Event::Begin(Part::Start),
        Event::Log("2026-11-25 14:10:44 UTC [812] LOG:  starting PostgreSQL 17.10".into()),
        Event::Log(
            "2026-11-25 14:10:44 UTC [812] LOG:  listening on IPv4 address \"127.0.0.1\", port 5433".into(),
        ),
    ]
}

/// The end of a journey.
pub fn landed() -> Landed {
    let way = |name: &str, title: &str, text: &str, notes: &[&str]| Way {
        name: name.into(),
        title: title.into(),
        text: text.into(),
        notes: notes.iter().map(|note| (*note).to_owned()).collect(),
    };
    Landed {
        dir: "/home/ann/shop-db".into(),
        port: Some(5433),
        ways: vec![
            way(
                "psql",
                "psql",
                "psql 'host=localhost port=5433 dbname=app user=app sslmode=verify-full sslrootcert=/home/ann/shop-db/clients/app/root.crt'",
                &[],
            ),
            way(
                "psycopg",
                "Python: psycopg 3",
                "import psycopg\n\nwith psycopg.connect(\"host=localhost port=5433\") as connection:\n    print(connection.execute(\"SELECT 1\").fetchone())",
                &["It reads PG* variables too."],
            ),
            way(
                "jdbc",
                "Java: JDBC",
                "jdbc:postgresql://localhost:5433/app?sslmode=verify-full",
                &[],
            ),
        ],
    }
}

/// What a probe found, in the words of a real server.
pub fn probe(id: ProbeId, outcome: Outcome) -> Probe {
    let (observed, evidence, ms) = match id {
        ProbeId::Reach => ("localhost port 5433 answers", "", 1),
        ProbeId::SslOffered => ("the server offers TLS", "", 1),
        ProbeId::Handshake => ("TLSv1.3, TLS_AES_256_GCM_SHA384, X25519", "", 3),
        ProbeId::Chain => (
            "issued by CN=shop-db CA, trusted by clients/app/root.crt",
            "subject CN=localhost",
            0,
        ),
        ProbeId::HostName => (
            "valid for localhost",
            "the certificate is for localhost, 127.0.0.1, ::1",
            0,
        ),
        ProbeId::Validity => (
            "397 days left, until 2027-12-27",
            "valid from 2026-11-25 to 2027-12-27",
            0,
        ),
        ProbeId::Authenticated => ("logged in as app to app", "PostgreSQL 17.10", 5),
        ProbeId::ServerAgrees => ("pg_stat_ssl says the same", "TLSv1.3, TLS_AES_256_GCM_SHA384", 1),
        ProbeId::PlaintextRefused => (
            "the login is refused",
            "28000: pg_hba.conf rejects connection for host \"127.0.0.1\", user \"app\", no encryption",
            2,
        ),
        ProbeId::OldTlsRefused => (
            "TLS 1.1 is refused by the server's setting",
            "alert 70, protocol version",
            2,
        ),
        id => (id.expected(), "", 4),
    };
    let (observed, remedy) = match outcome {
        Outcome::Broken => (
            "the certificate is for \"db\" only",
            Some("add localhost to the names and reissue".to_owned()),
        ),
        _ => (observed, None),
    };
    Probe {
        id,
        outcome,
        observed: observed.to_owned(),
        cause: None,
        evidence: Some(evidence.to_owned())
            .filter(|evidence| !evidence.is_empty())
            .into_iter()
            .collect(),
        took: Duration::from_millis(ms),
        remedy,
    }
}

/// A report in which all that is asked in one-way mode has this outcome at that probe, and holds elsewhere.
pub fn report(odd: Option<(ProbeId, Outcome)>) -> Report {
    let one_way = |id: &ProbeId| {
        !matches!(
            id,
            ProbeId::NoCertificateRefused | ProbeId::ForeignCertificateRefused | ProbeId::OtherNameRefused
        )
    };
    let outcome = |id| match odd {
        Some((other, outcome)) if other == id => outcome,
        _ => Outcome::Holds,
    };
    let probes = ProbeId::ALL
        .into_iter()
        .filter(one_way)
        .map(|id| probe(id, outcome(id)))
        .collect();
    let (verdict, headline) = match odd {
        None => (
            Verdict::Verified,
            "Verified: verify-full over one-way TLS to localhost port 5433; 2 things that must be refused are refused",
        ),
        Some((_, Outcome::Broken)) => (
            Verdict::Refused,
            "Refused: host-name: the certificate is for \"db\" only",
        ),
        Some(_) => (
            Verdict::Undetermined,
            "Could not be found out: old-tls-refused: no answer in 5 s",
        ),
    };
    Report {
        verdict,
        headline: headline.to_owned(),
        cause: None,
        probes,
        presented: Vec::new(),
    }
}

/// A failure as people read it.
pub fn fault() -> Failure {
    Failure {
        what: "port 5433 on 127.0.0.1 is in use by `node` (process 4711)".into(),
        remedies: vec!["name a free port with --port, or stop what listens there".into()],
        log: vec!["could not bind IPv4 address \"127.0.0.1\": Address already in use".into()],
        step: Some("names"),
    }
}

/// What each `sslmode` is worth against a server that wants TLS.
pub fn matrix() -> Matrix {
    const MODES: [(SslMode, &str, &str); 6] = [
        (SslMode::Disable, "ruuuu", ""),
        (SslMode::Allow, "cuuuu", "cuuuu"),
        (SslMode::Prefer, "crruu", "cuuuu"),
        (SslMode::Require, "crrur", "cuuur"),
        (SslMode::VerifyCa, "crrur", ""),
        (SslMode::VerifyFull, "crrrr", ""),
    ];
    let row = |sslmode, root_file, outcomes: &str| crate::verify::modes::Row {
        sslmode,
        root_file,
        cells: Meets::ALL
            .into_iter()
            .zip(outcomes.chars())
            .map(|(meets, outcome)| cell(meets, outcome))
            .collect(),
    };
    Matrix {
        holds: Some(true),
        headline: "verify-full connects to the server and refuses 4 impostors".to_owned(),
        rows: MODES
            .iter()
            .map(|(mode, with, _)| row(*mode, true, with))
            .collect(),
        without_root_file: MODES
            .iter()
            .filter(|(_, _, without)| !without.is_empty())
            .map(|(mode, _, without)| row(*mode, false, without))
            .collect(),
    }
}

fn cell(meets: Meets, outcome: char) -> Cell {
    let (outcome, observed, evidence) = match outcome {
        'c' => (
            CellOutcome::Connects,
            "connects over TLSv1.3, TLS_AES_256_GCM_SHA384",
            "on the wire: 1834 bytes to the server and 2261 back, all of them TLS records",
        ),
        'r' => (
            CellOutcome::Refuses,
            "the client refuses: the chain ends at a certificate that is not trusted",
            "the client ended the handshake with TLS alert 48 (unknown_ca)",
        ),
        _ => (
            CellOutcome::Unprotected,
            "the impostor read the password and the query",
            "read: the password, 26 characters, the right one",
        ),
    };
    Cell {
        meets,
        outcome,
        observed: observed.to_owned(),
        evidence: vec![evidence.to_owned()],
        took: Duration::from_millis(7),
    }
}

/// The same, as it comes in: one connection after the other.
pub fn cells() -> Vec<ModeCell> {
    let matrix = matrix();
    let rows = matrix.rows.into_iter().chain(matrix.without_root_file);
    rows.flat_map(|row| {
        row.cells.into_iter().map(move |cell| ModeCell {
            sslmode: row.sslmode,
            root_file: row.root_file,
            cell,
        })
    })
    .collect()
}
