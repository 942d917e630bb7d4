//! Questions on the terminal. Without a terminal nothing is ever asked.

use std::io::IsTerminal;
use std::path::Path;

use secrecy::SecretString;

use crate::apply::{Answer, Change};
use crate::engine::{self, Ask, Error};
use crate::pki::{KeyError, PrivateKey, printable};
use crate::server::fetch::FetchPlan;

use super::args::Global;
use super::output::{to_stderr, told};

/// Asks the person, or answers for them with `--yes`.
#[derive(Debug, Clone, Copy)]
pub struct Prompt {
    yes: bool,
    terminal: bool,
    adopts: bool,
}

impl Prompt {
    /// Reads whether somebody can be asked.
    #[must_use]
    pub fn new(global: &Global) -> Self {
        let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        Self {
            yes: global.yes,
            terminal,
            adopts: false,
        }
    }

    /// The same for somebody who said beforehand whether data that is left may be used.
    #[must_use]
    pub const fn adopting(self, adopts: bool) -> Self {
        Self { adopts, ..self }
    }

    /// A yes or no; `--yes` says yes, and nobody there says no.
    #[must_use]
    pub fn confirm(self, question: &str) -> bool {
        self.yes
            || (self.terminal && matches!(Self::line(&format!("{question} [y/N] ")).as_str(), "y" | "yes"))
    }

    /// The consent that something needs. `nothing` is how things are without it; a person's no is an answer, and where nobody
    /// can be asked `remedy` says how to agree.
    pub fn consent(self, question: &str, nothing: &str, remedy: &str) -> Result<(), Error> {
        if self.confirm(question) {
            return Ok(());
        }
        let what = nothing.to_owned();
        Err(if self.terminal {
            Error::Declined { what }
        } else {
            Error::NeedsConsent {
                what,
                remedy: remedy.to_owned(),
            }
        })
    }

    /// The same about what was asked for already: only a person who is there is asked, and scripts go on.
    pub fn agrees(self, question: &str, nothing: &str) -> Result<(), Error> {
        if self.terminal {
            self.consent(question, nothing, "")
        } else {
            Ok(())
        }
    }

    /// What is typed. A Ctrl-C is a no, and need not wait for Enter: whoever listens for it cannot while we read.
    fn line(prompt: &str) -> String {
        to_stderr(prompt);
        let (answer, answered) = std::sync::mpsc::channel();
        let broken_off = answer.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(super::interrupted());
                let _ = broken_off.send(None);
            }
        });
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = std::io::stdin().read_line(&mut line).is_ok();
            let _ = answer.send(read.then_some(line));
        });
        if let Ok(Some(line)) = answered.recv() {
            return line.trim().to_ascii_lowercase();
        }
        told!("");
        String::new()
    }

    /// The passphrase of one encrypted key, typed unseen where somebody can be asked, as psql asks.
    #[must_use]
    pub fn typed_passphrase(self, key: &Path) -> Option<SecretString> {
        let ask = || rpassword::prompt_password(format!("Passphrase of {}: ", key.display()));
        self.terminal.then(ask)?.ok().map(SecretString::from)
    }

    /// The passphrase of a key: from the file, the environment, or typed unseen; only where a key is encrypted.
    pub fn passphrase(self, file: Option<&Path>, keys: &[&Path]) -> Result<Option<SecretString>, Error> {
        if let Some(file) = file {
            return engine::secret("the passphrase file (--passphrase-file)", file).map(Some);
        }
        if let Ok(passphrase) = std::env::var("PGTLS_KEY_PASSPHRASE") {
            return Ok(Some(SecretString::from(passphrase)));
        }
        let encrypted = keys.iter().find(|key| {
            let read = engine::read("the key", key).ok().flatten();
            read.is_some_and(|pem| matches!(PrivateKey::from_pem(&pem, None), Err(KeyError::NeedsPassphrase)))
        });
        match encrypted {
            None => Ok(None),
            Some(key) if self.terminal => {
                let typed = rpassword::prompt_password(format!("Passphrase of {}: ", key.display()));
                Ok(typed.ok().map(SecretString::from))
            }
            Some(key) => Err(Error::File {
                what: "the key",
                path: key.to_path_buf(),
                why: "it is encrypted, and there is no terminal to ask for its passphrase".to_owned(),
                remedy: "give --passphrase-file FILE (mode 0600) or set PGTLS_KEY_PASSPHRASE".to_owned(),
            }),
        }
    }
}

impl Ask for Prompt {
    fn edited(&self, change: &Change) -> Answer {
        if self.yes {
            return Answer::Replace;
        }
        told!(
            "\n{} was edited since pgtls wrote it, or was never pgtls's:",
            change.path.display()
        );
        told!("{}", change.diff());
        let leave = if change.may_be_left() {
            ", [l]eave it as it is"
        } else {
            ""
        };
        match Self::line(&format!("[r]eplace it (a copy is kept){leave}, or [s]top? ")).as_str() {
            "r" | "replace" => Answer::Replace,
            "l" | "leave" => Answer::Leave,
            _ => Answer::Stop,
        }
    }

    fn agrees(&self, changes: &[&Change], losses: &[String]) -> bool {
        if self.yes || !self.terminal {
            return self.yes || losses.is_empty();
        }
        for change in changes {
            let path = printable(&change.path.to_string_lossy());
            told!("  {:<8} {:04o}  {path}", change.action.word(), change.mode);
        }
        loop {
            match Self::line("Write them? [y]es, [d]ifference first, or [n]o: ").as_str() {
                "y" | "yes" => return true,
                "d" | "difference" => changes.iter().for_each(|change| told!("{}", change.diff())),
                _ => return false,
            }
        }
    }

    fn is_there(&self) -> bool {
        self.yes || self.terminal
    }

    fn adopt(&self, volume: &str, version: u16) -> bool {
        // Not by `--yes`: it would set passwords in data that is somebody's.
        let ask = || self.confirm(&format!("{} Use it?", engine::adopting(volume, version)));
        self.adopts || (!self.yes && ask())
    }

    fn discard(&self, volume: &str) -> bool {
        // By `--yes` too: the server never answered, so nobody's data is in it.
        self.confirm(&format!("{} Delete it?", engine::discarding(volume)))
    }

    fn fetch(&self, plan: &FetchPlan) -> bool {
        let size = plan
            .size
            .map(|bytes| format!(", {} MB", bytes / 1_000_000))
            .unwrap_or_default();
        let caveat = plan
            .caveat
            .as_ref()
            .map(|text| format!("\n  {text}"))
            .unwrap_or_default();
        self.confirm(&format!(
            "PostgreSQL's server programs are not on this machine. Fetch a private copy ({} through {}{size}) into {}?{caveat}",
            plan.package,
            plan.client.name(),
            plan.into.display()
        ))
    }
}
