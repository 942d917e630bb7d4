//! A server to harden, and the wizard in front of it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::support::{Builder, Postgres, Pty, TestServer, psql, scratch, wait_for};

pub const SLOW: Duration = Duration::from_secs(90);

/// A server on which TLS is off, the wizard beside it, and the directory of its books.
pub struct Site {
    pub server: TestServer,
    pub kit: PathBuf,
}

impl Site {
    pub fn new(postgres: &Postgres, hba: &str) -> Self {
        Self::of(TestServer::builder(postgres).hba(hba))
    }

    pub fn of(builder: Builder) -> Self {
        let server = builder
            .conf("#ssl = off\t\t# not yet\npassword_encryption = 'scram-sha-256'")
            .sql("create role app login password 'pw'")
            .sql("alter role postgres password 'unspoken'")
            .start();
        let kit = scratch("kit");
        Self { server, kit }
    }

    /// The wizard at the stages of this server.
    #[track_caller]
    pub fn wizard(&self, admin: &str) -> Pty {
        lead(Pty::pgtls(&[], &self.kit, (120, 40), &[]), admin)
    }

    /// Whether psql comes in as `app`.
    pub fn lets_in(&self, more: &str) -> bool {
        let conninfo = format!(
            "host=localhost port={} user=app password=pw dbname=postgres {more}",
            self.server.port
        );
        psql(&conninfo, "select 1").ok
    }

    #[track_caller]
    pub fn plaintext_is(&self, open: bool, what: &str) {
        until(what, || self.lets_in("sslmode=disable") == open);
    }

    pub fn verified(&self) -> bool {
        let root = self.kit.join("ca/root.crt");
        self.lets_in(&format!("sslmode=verify-full sslrootcert={}", root.display()))
    }

    pub fn rules(&self) -> Vec<u8> {
        fs::read(self.server.data.join("pg_hba.conf")).unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.kit));
    }
}

pub const SHORT: &str = "10 seconds";
pub const MINUTE: &str = "60 seconds";
pub const EVERYBODY: &str =
    "# everybody\nhost    all   all   127.0.0.1/32   scram-sha-256\nhost all all ::1/128 scram-sha-256 # six";

/// From the stages to the countdown of this one.
#[track_caller]
pub fn try_it(pty: &mut Pty, stage: &str, within: &str) {
    pty.expect(&format!("▸ ○ {stage}"));
    pty.send("\r");
    pty.expect("Goes back unless kept within");
    pty.send("----");
    pty.expect("‹ 10 seconds ›");
    if within == "60 seconds" {
        pty.send("++");
    }
    pty.expect(&format!("‹ {within} ›"));
    pty.send("\r");
    pty.expect("Keep it?");
}

/// Line by line: waits for the prompt, which must not be the one that was answered last, and answers it.
#[track_caller]
pub fn answer(pty: &mut Pty, prompt: &str, line: &str) {
    pty.until(prompt, |screen| {
        screen.trim_end().ends_with(':') && screen.lines().last().unwrap_or_default().contains(prompt)
    });
    pty.send(&format!("{line}\r"));
}

/// From the first step of this wizard to the stages.
#[track_caller]
pub fn lead(mut pty: Pty, admin: &str) -> Pty {
    pty.until("it is there", |screen| {
        screen.contains("On this machine") || screen.contains("You were here before")
    });
    // What was answered before is not asked again.
    if !pty.text().contains("You were here before") {
        pty.click("Harden a server");
        pty.expect("▸ Harden a server");
        pty.send("\r");
        pty.expect("Log in by");
        pty.send(admin);
        pty.send("\r");
    }
    pty.expect("Who issues the certificates?");
    pty.send("\r");
    pty
}

/// Waits until it is so.
#[track_caller]
pub fn until(what: &str, holds: impl Fn() -> bool) {
    wait_for(what, SLOW, || holds().then_some(()));
}
