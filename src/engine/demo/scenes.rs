//! The scenes. Each makes its connections, and holds only where every sign that belongs to it was seen.

use std::path::PathBuf;

use secrecy::SecretString;
use time::OffsetDateTime;

use super::act::{Act, Acted};
use super::client::{Client, Held};
use super::stage::{BALANCE, FORGED, HOST, OTHER_HOST, QUERY, Rules, Stage, passfile, secret};
use super::{Course, Middle, Scene, Told};
use crate::conninfo::{Conninfo, Environment, Keyword, SslMode};
use crate::dial::Disguise;
use crate::engine::modes::modes;
use crate::engine::target::Means;
use crate::engine::{Error, Teller};
use crate::verify::modes::{CellOutcome, Matrix, Meets, Row};

/// Plays one, and leaves the stage as it was.
pub(super) async fn play(stage: &Stage, scene: Scene, tell: &Teller) -> Course {
    let mut play = Play {
        stage,
        tell,
        course: Course::default(),
    };
    let end = Box::pin(play.whole(scene)).await;
    let mut course = play.course;
    if let Err(error) = end {
        course.holds = None;
        course.observed = format!("it could not be found out: {error}");
    }
    course
}

struct Play<'a> {
    stage: &'a Stage,
    tell: &'a Teller,
    course: Course,
}

/// A scene that was played to its end has set what came of it.
type Verdict = Result<(), Error>;

impl Play<'_> {
    async fn whole(&mut self, scene: Scene) -> Verdict {
        self.stage.reset().await?;
        let verdict = match scene {
            Scene::Plaintext => self.plaintext().await,
            Scene::Prefer => self.prefer().await,
            Scene::Require => self.require().await,
            Scene::VerifyCa => self.verify_ca().await,
            Scene::VerifyFull => self.verify_full().await,
            Scene::MutualTls => self.mutual_tls().await,
            Scene::Renewal => self.renewal().await,
            Scene::Matrix => self.matrix().await,
        };
        self.stage.reset().await?;
        verdict
    }

    async fn act(
        &mut self,
        title: &str,
        conninfo: Conninfo,
        middle: Middle,
        disguise: Option<Disguise>,
    ) -> Result<Acted, Error> {
        let act = Act {
            title,
            conninfo,
            query: QUERY,
            middle,
            disguise,
            forgery: Some(Stage::forgery()),
        };
        Box::pin(act.play(&self.stage.client, &mut self.course, self.tell)).await
    }

    async fn direct(&mut self, title: &str, sslmode: SslMode) -> Result<Acted, Error> {
        let conninfo = self.stage.conninfo(sslmode);
        self.act(title, conninfo, Middle::Nobody, None).await
    }

    async fn self_signed(&mut self, title: &str, conninfo: Conninfo) -> Result<Acted, Error> {
        let disguise = self.stage.self_signed()?;
        let middle = Middle::Impostor(format!("{HOST}, self-made"));
        self.act(title, conninfo, middle, Some(disguise)).await
    }

    async fn wrong_name(&mut self, title: &str, conninfo: Conninfo) -> Result<Acted, Error> {
        let disguise = self.stage.wrong_name()?;
        let middle = Middle::Impostor(format!("{OTHER_HOST}, your CA"));
        self.act(title, conninfo, middle, Some(disguise)).await
    }

    fn server(&mut self, text: impl Into<String>) {
        let text = text.into();
        self.course.evidence.push(format!("server: {text}"));
        Told::Server(text).to(self.tell);
    }

    /// What came of the scene, and the sentence that says it either way.
    fn end(&mut self, holds: bool, observed: String) {
        self.course.observed = observed;
        self.course.holds = Some(holds);
    }

    async fn plaintext(&mut self) -> Verdict {
        let acted = self.direct("Without TLS", SslMode::Disable).await?;
        let (query, answer) = (acted.was_captured(QUERY), acted.was_captured(BALANCE));
        self.end(
            query && answer && acted.answer() == Some(BALANCE),
            match (query, answer) {
                (true, true) => format!("the eavesdropper read the query, and the answer {BALANCE}"),
                (true, false) => "the eavesdropper read the query, but not the answer".to_owned(),
                _ => format!("the eavesdropper did not read the query: {}", acted.last_words()),
            },
        );
        Ok(())
    }

    async fn prefer(&mut self) -> Verdict {
        let before = self.direct("The wire left alone", SslMode::Prefer).await?;
        let conninfo = self.stage.conninfo(SslMode::Prefer);
        let after = self
            .act(
                "Somebody answers no",
                conninfo,
                Middle::Downgrader,
                Some(Disguise::Plaintext),
            )
            .await?;
        let encrypted = before.answer() == Some(BALANCE) && !before.was_captured(QUERY);
        let downgraded = after.said.ok && after.was_captured(QUERY);
        let stolen = after.stolen().is_some();
        let silent = after.said.complaints.is_empty();
        self.end(
            encrypted && downgraded && stolen && silent,
            format!(
                "left alone {}; told no, the client {}{}",
                if encrypted {
                    "it was encrypted"
                } else {
                    "it was not encrypted"
                },
                if downgraded {
                    "went on in plaintext"
                } else {
                    "did not go on"
                },
                match (stolen, silent) {
                    (true, true) => ", without a word, and gave its password in clear",
                    (true, false) => ", and gave its password in clear",
                    (false, _) => "",
                }
            ),
        );
        Ok(())
    }

    async fn require(&mut self) -> Verdict {
        let conninfo = self.stage.conninfo(SslMode::Require);
        let bound = conninfo.clone().with(Keyword::ChannelBinding, "require");
        let acted = self
            .self_signed("A certificate of its own making", conninfo)
            .await?;
        let wall = self
            .self_signed("The same, with channel_binding=require", bound)
            .await?;
        let deaf = !acted.was_captured(QUERY) && !acted.was_captured(BALANCE);
        let stolen = acted.stolen().is_some();
        let changed = acted.answer() == Some(FORGED);
        let walled = !wall.said.ok && wall.stolen().is_none() && !wall.was_captured(QUERY);
        self.end(
            deaf && stolen && changed && walled,
            format!(
                "the eavesdropper read {}; the impostor {}, and the client printed {} (the truth is {BALANCE}); with \
                 channel_binding=require it was {}",
                if deaf { "nothing" } else { "along" },
                if stolen {
                    "read password, query and answer"
                } else {
                    "got no password"
                },
                acted.last_words(),
                if walled {
                    format!("refused: {}", wall.last_words())
                } else {
                    "not refused".to_owned()
                },
            ),
        );
        Ok(())
    }

    async fn verify_ca(&mut self) -> Verdict {
        let conninfo = self.stage.conninfo(SslMode::VerifyCa);
        let own = self
            .self_signed("A certificate of its own making", conninfo.clone())
            .await?;
        let other = self
            .wrong_name("A certificate of the same CA, for another machine", conninfo)
            .await?;
        let refused = own.refused_certificate();
        let changed = other.answer() == Some(FORGED) && other.stolen().is_some();
        let deaf = [&own, &other].iter().all(|acted| !acted.was_captured(QUERY));
        self.end(
            refused && changed && deaf,
            format!(
                "the self-made certificate {}; the one for {OTHER_HOST} {}",
                if refused { "was refused" } else { "was not refused" },
                if changed {
                    format!("got through, and the client printed {FORGED}")
                } else {
                    format!("did not: {}", other.last_words())
                }
            ),
        );
        Ok(())
    }

    async fn verify_full(&mut self) -> Verdict {
        let conninfo = self.stage.conninfo(SslMode::VerifyFull);
        let own = self
            .self_signed("A certificate of its own making", conninfo.clone())
            .await?;
        let other = self
            .wrong_name("A certificate of the same CA, for another machine", conninfo)
            .await?;
        let truth = self.direct("The true server", SslMode::VerifyFull).await?;
        let in_handshake = own.refused_certificate();
        let by_name = other.refused_with(OTHER_HOST) && other.refused_with(HOST) && !other.read_anything();
        let connected = truth.answer() == Some(BALANCE);
        let deaf = [&own, &other, &truth]
            .iter()
            .all(|acted| !acted.was_captured(QUERY));
        self.end(
            in_handshake && by_name && connected && deaf,
            format!(
                "the self-made certificate {}; the one for {OTHER_HOST} {}; the true server {}",
                match own.alert() {
                    _ if !in_handshake => "was not refused as it should be".to_owned(),
                    Some(alert) => format!("was refused in the handshake ({alert})"),
                    None => "was refused in the handshake".to_owned(),
                },
                match (by_name, other.shook_hands()) {
                    (true, true) => "behind it, before anything was sent",
                    (true, false) => "in the handshake, too",
                    (false, _) => "was not refused as it should be",
                },
                if connected {
                    format!("answered {BALANCE}")
                } else {
                    format!("did not answer: {}", truth.last_words())
                }
            ),
        );
        Ok(())
    }

    async fn mutual_tls(&mut self) -> Verdict {
        let conninfo = self.stage.conninfo(SslMode::Require);
        let theft = self
            .self_signed("The theft, by the impostor of scene 3", conninfo.clone())
            .await?;
        let Some(password) = theft.stolen().cloned() else {
            self.end(false, "no password could be stolen".to_owned());
            return Ok(());
        };
        self.stage.rules(Rules::Certificate).await?;
        self.server("pg_hba.conf now asks for a certificate too: scram-sha-256 clientcert=verify-full");
        let (thief, identity) = self.thief(&password)?;
        let bare = thief.clone().with(Keyword::Sslmode, SslMode::Require.word());
        let without = self
            .act("The thief, with the right password", bare, Middle::Nobody, None)
            .await?;
        let foreign = self
            .act(
                "The thief, with a certificate of his own making",
                thief
                    .with(Keyword::Sslcert, identity.0.to_string_lossy())
                    .with(Keyword::Sslkey, identity.1.to_string_lossy()),
                Middle::Nobody,
                None,
            )
            .await?;
        let owner = self.stage.conninfo(SslMode::VerifyFull);
        let owner = self.stage.with_certificate(owner);
        let owner = self
            .act("Ann, with password and certificate", owner, Middle::Nobody, None)
            .await?;
        let refused = without.refused_with("valid client certificate");
        let foreigner =
            !foreign.said.ok && (foreign.refused_with("unknown ca") || foreign.refused_with("unknown_ca"));
        let let_in = owner.answer() == Some(BALANCE);
        let deaf = [&theft, &without, &foreign, &owner]
            .iter()
            .all(|acted| !acted.was_captured(QUERY));
        self.end(
            refused && foreigner && let_in && deaf,
            format!(
                "with the stolen password: {}; with a certificate of his own making: {}; Ann: {}",
                without.last_words(),
                foreign.last_words(),
                owner.last_words()
            ),
        );
        Ok(())
    }

    /// How the thief connects: with the password that was stolen, and the files of a certificate that he made.
    fn thief(&self, password: &SecretString) -> Result<(Conninfo, (PathBuf, PathBuf)), Error> {
        const FILES: [&str; 3] = ["thief/passfile", "thief/client.crt", "thief/client.key"];
        let identity = self.stage.foreign_client()?;
        self.stage.put(&[
            passfile(FILES[0], password),
            secret(
                FILES[1],
                identity.chain_pem().into_bytes(),
                "a thief's certificate",
            ),
            secret(
                FILES[2],
                identity.key().to_pem().as_bytes().to_vec(),
                "a thief's key",
            ),
        ])?;
        let [passfile, certificate, key] = FILES.map(|file| self.stage.path(file));
        let conninfo = self
            .stage
            .conninfo(SslMode::Require)
            .with(Keyword::Passfile, passfile);
        Ok((conninfo, (certificate.into(), key.into())))
    }

    async fn renewal(&mut self) -> Verdict {
        let now = OffsetDateTime::now_utc();
        let conninfo = self.stage.conninfo(SslMode::VerifyFull);
        Told::Act {
            title: "A session is opened, and stays open".to_owned(),
            command: Client::command_in_short(&conninfo),
            middle: Middle::Nobody,
        }
        .to(self.tell);
        let first = self.stage.served().await?;
        self.server(format!(
            "serves {} until {}",
            short(&first.serial_hex()),
            first.not_after().date()
        ));
        let mut held = match self.stage.client.hold(&conninfo).await? {
            Ok(held) => held,
            Err(why) => {
                self.end(false, format!("no session could be opened: {why}"));
                return Ok(());
            }
        };
        let begun = self.held(&mut held).await?;
        let expired = self.stage.certificate(1, now - time::Duration::days(2))?;
        self.stage.show(&expired).await?;
        self.server(format!(
            "serves {}, which ended on {}",
            short(&expired.leaf().serial_hex()),
            expired.leaf().not_after().date()
        ));
        let late = self.direct("A new client", SslMode::VerifyFull).await?;
        let during = self.held(&mut held).await?;
        let renewed = self.stage.certificate(90, now)?;
        self.stage.show(&renewed).await?;
        let served = self.stage.served().await?;
        self.server(format!(
            "serves {} until {}, after a reload",
            short(&served.serial_hex()),
            served.not_after().date()
        ));
        let new = self.direct("A new client", SslMode::VerifyFull).await?;
        let after = self.held(&mut held).await?;
        held.end().await;
        let refused = late.refused_with("certificate") && !late.was_captured(QUERY);
        let stayed = begun.is_some() && begun == during && during == after;
        let is_new = served.serial_hex() == renewed.leaf().serial_hex() && new.answer() == Some(BALANCE);
        self.end(
            refused && stayed && is_new,
            format!(
                "expired: {}; renewed: the client printed {}; the open session {}",
                late.last_words(),
                new.last_words(),
                if stayed {
                    "answered throughout, by the same server process"
                } else {
                    "did not stay"
                }
            ),
        );
        Ok(())
    }

    /// Asks the open session which process answers it.
    async fn held(&mut self, held: &mut Held) -> Result<Option<String>, Error> {
        let process = held.ask("SELECT pg_backend_pid()").await?;
        let says = match &process {
            Some(process) => format!("the open session answers, from server process {process}"),
            None => "the open session is over".to_owned(),
        };
        self.course.evidence.push(says.clone());
        Told::Server(says).to(self.tell);
        Ok(process)
    }

    async fn matrix(&mut self) -> Verdict {
        let conninfo = self.stage.conninfo(SslMode::VerifyFull);
        Told::Act {
            title: "Every mode in every situation".to_owned(),
            command: Client::command_in_short(&conninfo),
            middle: Middle::Nobody,
        }
        .to(self.tell);
        let means = Means {
            expect: None,
            other: None,
            admin: None,
            dir: self.stage.dir().to_owned(),
            key_passphrase: None,
            timeout: std::time::Duration::from_secs(20),
            now: OffsetDateTime::now_utc(),
        };
        let conninfo = self.stage.with_passfile(conninfo);
        let matrix = Box::pin(modes(conninfo, &Environment::default(), &means, self.tell)).await?;
        for row in shown(&matrix) {
            let words: Vec<_> = row
                .cells
                .iter()
                .map(|cell| format!("{} {}", cell.meets.name(), word(cell.outcome)))
                .collect();
            self.course
                .evidence
                .push(format!("{}: {}", row.sslmode.word(), words.join(", ")));
        }
        let safe = |row: &Row| {
            row.cells.iter().all(|cell| match cell.meets {
                Meets::AsItIs => cell.outcome == CellOutcome::Connects,
                _ => cell.outcome == CellOutcome::Refuses,
            })
        };
        let rows = shown(&matrix);
        let unclear = rows
            .iter()
            .flat_map(|row| &row.cells)
            .any(|cell| matches!(cell.outcome, CellOutcome::Open | CellOutcome::NotTried));
        let safe: Vec<_> = rows
            .iter()
            .filter(|row| safe(row))
            .map(|row| row.sslmode.word())
            .collect();
        self.course.observed = format!("{}; stops all of them: {}", matrix.headline, safe.join(", "));
        self.course.holds = match matrix.holds {
            Some(true) if unclear => None,
            Some(true) => Some(safe == ["verify-full"]),
            holds => holds,
        };
        Ok(())
    }
}

/// The rows as most clients in the world are: with a root file only where the mode needs one.
fn shown(matrix: &Matrix) -> Vec<&Row> {
    matrix
        .rows
        .iter()
        .map(|row| {
            matrix
                .without_root_file
                .iter()
                .find(|bare| bare.sslmode == row.sslmode)
                .unwrap_or(row)
        })
        .collect()
}

const fn word(outcome: CellOutcome) -> &'static str {
    match outcome {
        CellOutcome::Connects => "connects",
        CellOutcome::Refuses => "refuses",
        CellOutcome::Unprotected => "UNPROTECTED",
        CellOutcome::Open => "unclear",
        CellOutcome::NotTried => "not tried",
    }
}

/// The beginning of a serial number: enough to tell two apart.
fn short(serial: &str) -> String {
    format!("certificate {}…", serial.chars().take(11).collect::<String>())
}
