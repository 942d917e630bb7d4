//! What the keeper is told at the beginning, to be done at the end: the lesson's role and database on a person's server.
//!
//! It goes through a pipe and stays in memory: a password may be in it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::guest::remove;
use super::yours::{Yours, enter};
use crate::conninfo::{Conninfo, Keyword};
use crate::dial::Deadline;
use crate::engine::Error;
use crate::engine::ground::take_down;
use crate::server::{is_temporary, leave_nothing, wait_for_the_end};

/// How long it is tried: the server may be restarting, full, or too busy to drop a database at once.
const STUBBORN: Duration = Duration::from_secs(30);

/// The last thing to be done.
#[derive(Debug)]
pub(super) struct Last {
    /// From where the file names of the connection string count.
    dir: PathBuf,
    name: String,
    yours: Yours,
}

impl Last {
    pub fn new(name: &str, conninfo: &Conninfo, key_passphrase: Option<&SecretString>) -> Self {
        Self {
            dir: std::env::current_dir().unwrap_or_else(|_| "/".into()),
            name: name.to_owned(),
            yours: Yours {
                conninfo: conninfo.clone(),
                key_passphrase: key_passphrase.cloned(),
            },
        }
    }

    /// Four fields with a zero byte between them, which can be in none.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let secrets: Vec<Keyword> = self
            .yours
            .conninfo
            .keywords()
            .filter(|keyword| keyword.is_secret())
            .collect();
        let conninfo = self.yours.conninfo.to_keyword_value_with(&secrets);
        let passphrase = self
            .yours
            .key_passphrase
            .as_ref()
            .map_or("", |it| it.expose_secret());
        let fields = [
            self.dir.as_os_str().as_bytes(),
            self.name.as_bytes(),
            conninfo.expose_secret().as_bytes(),
            passphrase.as_bytes(),
        ];
        let length = fields.iter().map(|field| field.len() + 1).sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        for (index, field) in fields.iter().enumerate() {
            if index > 0 {
                bytes.push(0);
            }
            bytes.extend_from_slice(field);
        }
        bytes
    }

    /// Read back; `None` if there is nothing to be done, or if it did not arrive whole.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut fields = bytes.split(|byte| *byte == 0);
        let dir = Path::new(OsStr::from_bytes(fields.next()?)).to_owned();
        let name = std::str::from_utf8(fields.next()?).ok()?.to_owned();
        let conninfo = Conninfo::parse(std::str::from_utf8(fields.next()?).ok()?).ok()?;
        let passphrase = std::str::from_utf8(fields.next()?).ok()?;
        Some(Self {
            dir,
            name,
            yours: Yours {
                conninfo,
                key_passphrase: (!passphrase.is_empty()).then(|| passphrase.to_owned().into()),
            },
        })
    }

    async fn carry_out(&self) -> Result<(), Error> {
        let _ = std::env::set_current_dir(&self.dir);
        let begun = Instant::now();
        loop {
            match self.once().await {
                Err(_) if begun.elapsed() < STUBBORN => tokio::time::sleep(Duration::from_millis(100)).await,
                done => return done,
            }
        }
    }

    async fn once(&self) -> Result<(), Error> {
        let mut entered = Box::pin(enter(&self.yours, OffsetDateTime::now_utc())).await?;
        remove(&mut entered.session, &self.name).await?;
        entered.session.close(Deadline::after(STUBBORN)).await;
        Ok(())
    }
}

/// The keeper's work: waits for the end of a lesson, then leaves nothing of it.
pub async fn keep(dir: &Path) -> Result<(), Error> {
    let told = wait_for_the_end().await;
    let done = match Last::from_bytes(&told) {
        Some(last) => last.carry_out().await,
        None => Ok(()),
    };
    let taken_down = if is_temporary(dir) {
        take_down(dir).await
    } else {
        Ok(())
    };
    leave_nothing(dir).await?;
    done.and(taken_down)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keeper_is_told_everything_and_shows_no_secret() {
        let conninfo = Conninfo::parse("host=/run/x user='a b' password='p \\'w' sslkey=k").unwrap();
        let last = Last::new("pgtls_lesson_a", &conninfo, Some(&"sesame".to_owned().into()));
        let back = Last::from_bytes(&last.to_bytes()).unwrap();
        assert_eq!(back.yours.conninfo, conninfo);
        assert_eq!((&back.dir, &back.name), (&last.dir, &last.name));
        assert_eq!(
            back.yours.key_passphrase.as_ref().unwrap().expose_secret(),
            "sesame"
        );
        let shown = format!("{back:?}");
        assert!(!shown.contains("sesame") && !shown.contains("'w"), "{shown}");
    }

    #[test]
    fn what_did_not_arrive_whole_is_nothing() {
        for bytes in [
            &b""[..],
            b"/tmp",
            b"/tmp\0pgtls_lesson_a",
            b"/tmp\0pgtls_lesson_a\0host=x",
        ] {
            assert!(Last::from_bytes(bytes).is_none());
        }
    }
}
