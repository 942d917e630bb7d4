//! Where only SQL leads to the server: its settings are altered with `ALTER SYSTEM`
//! (<https://www.postgresql.org/docs/current/sql-altersystem.html>), and set again the same way.
//!
//! What going back needs is a session. A reload ends none, so the watchdog holds one of its own from before the first
//! setting is altered; a server that is restarted meanwhile it logs in to again. Each statement is one that a server
//! started after it takes.

use std::path::Path;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::apply::live::{Alteration, AutoSetting, Taken, Trial};
use crate::conninfo::{Conninfo, Environment, Keyword};
use crate::dial::{Deadline, Session};
use crate::engine::audit::as_psql;
use crate::engine::{Error, Means, absolute, caller};
use crate::harden::Altered;
use crate::plan::{identifier, literal};
use crate::server::words;
use crate::verify;

use super::{Hardening, Survey};

/// Which of the two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// As it was.
    Before,
    /// As it shall be.
    After,
}

/// The server by its own marks: a login to another must not alter that one.
const MARK: &str = "SELECT system_identifier || ' ' || current_setting('data_directory') || ' ' || current_setting('port') \
    AS mark FROM pg_control_system()";

/// Ours, which is no client of the server's.
pub const NAME: &str = "pgtls watchdog";

/// A session that waits must not be ended for it.
pub const PATIENCE: &str = "SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('statement_timeout', \
    'lock_timeout', 'idle_session_timeout', 'idle_in_transaction_session_timeout')";

/// The change, as it is written down.
pub async fn change(
    hardening: &Hardening,
    survey: &mut Survey,
    altered: &[Altered],
) -> Result<Alteration, Error> {
    let server = mark_of(survey).await?;
    Ok(Alteration {
        conninfo: Login::of(hardening).conninfo.to_keyword_value(),
        server,
        timeout: u64::try_from(survey.target.timeout.as_millis()).unwrap_or(u64::MAX),
        settings: altered
            .iter()
            .map(|one| AutoSetting {
                name: one.name.clone(),
                before: one.auto.clone(),
                after: Some(one.after.clone()),
            })
            .collect(),
    })
}

/// The server by its own marks.
pub async fn mark_of(survey: &mut Survey) -> Result<String, Error> {
    let rows = survey.ask("asking which server this is", MARK).await?;
    Ok(rows.value(0, "mark").unwrap_or_default().to_owned())
}

/// Whether a session leads to the server of those marks.
pub async fn leads_to(session: &mut Session, server: &str, limit: Deadline) -> Result<bool, String> {
    let rows = session.query(MARK, limit).await;
    let rows = rows.map_err(|error| error.to_string())?;
    Ok(rows.value(0, "mark") == Some(server))
}

/// Sets every setting, and has the server read its files.
pub async fn put(
    session: &mut Session,
    limit: &dyn Fn() -> Deadline,
    change: &Alteration,
    side: Side,
) -> Result<(), String> {
    let mut ask = async |sql: &str| session.query(sql, limit()).await;
    let statement = |setting: &AutoSetting| {
        let value = match side {
            Side::Before => &setting.before,
            Side::After => &setting.after,
        };
        let name = identifier(&setting.name);
        match value {
            Some(value) => format!("ALTER SYSTEM SET {name} TO {}", literal(value)),
            None => format!("ALTER SYSTEM RESET {name}"),
        }
    };
    let mut statements: Vec<_> = change.settings.iter().map(statement).collect();
    if side == Side::Before {
        statements.reverse();
    }
    for statement in statements {
        ask(&statement)
            .await
            .map_err(|error| format!("{statement}: {error}"))?;
    }
    let asked = ask("SELECT pg_reload_conf() AS asked")
        .await
        .map_err(|error| error.to_string())?;
    match asked.value(0, "asked") {
        Some("t") => Ok(()),
        _ => Err("the server could not be told to read its files".to_owned()),
    }
}

/// Takes a change back over a session; `None` if it was decided already.
pub async fn take_back(
    trial: &Trial,
    change: &Alteration,
    session: &mut Session,
    limit: &dyn Fn() -> Deadline,
) -> Result<Option<Taken>, String> {
    let Some(decision) = trial.decide().map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    put(session, limit, change, Side::Before).await?;
    decision.taken_back().map_err(|error| error.to_string())?;
    Ok(Some(Taken {
        files: Vec::new(),
        kept: Vec::new(),
    }))
}

/// How the admin logs in.
pub struct Login {
    /// The connection string.
    pub conninfo: Conninfo,
    passphrase: Option<SecretString>,
}

impl Login {
    /// That of a hardening; files that it names are found from everywhere.
    pub fn of(hardening: &Hardening) -> Self {
        let mut conninfo = hardening.conninfo.clone();
        as_psql(&mut conninfo, &hardening.env);
        for keyword in [
            Keyword::Sslrootcert,
            Keyword::Sslcert,
            Keyword::Sslkey,
            Keyword::Sslcrl,
            Keyword::Passfile,
        ] {
            let named = conninfo
                .get(keyword)
                .filter(|file| !matches!(*file, "" | "system"));
            if let Some(file) = named.map(|file| absolute(Path::new(file))) {
                conninfo.set(keyword, file.to_string_lossy());
            }
        }
        Self {
            conninfo,
            passphrase: hardening.means.key_passphrase.clone(),
        }
    }

    /// As it is handed over to the watchdog: the connection string, and after a NUL, which none has in it, the passphrase.
    pub fn handed(&self) -> Zeroizing<Vec<u8>> {
        let secrets: Vec<_> = self
            .conninfo
            .keywords()
            .filter(|keyword| keyword.is_secret())
            .collect();
        let conninfo = self.conninfo.to_keyword_value_with(&secrets);
        let parts = [Some(&conninfo), self.passphrase.as_ref()];
        let parts = parts.map(|part| part.map_or("", ExposeSecret::expose_secret));
        // Room for all of it from the start: what grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(parts[0].len() + 1 + parts[1].len()));
        bytes.extend_from_slice(parts[0].as_bytes());
        if self.passphrase.is_some() {
            bytes.push(0);
            bytes.extend_from_slice(parts[1].as_bytes());
        }
        bytes
    }

    pub fn from_handed(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let (conninfo, passphrase) = match text.split_once('\0') {
            Some((conninfo, passphrase)) => (conninfo, Some(SecretString::from(passphrase))),
            None => (text, None),
        };
        Ok(Self {
            conninfo: Conninfo::parse(conninfo).map_err(|error| error.to_string())?,
            passphrase,
        })
    }

    /// A session on the very server that a change is about.
    pub async fn enter(&self, dir: &Path, change: &Alteration) -> Result<Session, String> {
        let timeout = Duration::from_millis(change.timeout);
        let means = Means {
            expect: None,
            other: None,
            dir: dir.to_path_buf(),
            admin: None,
            key_passphrase: self.passphrase.clone(),
            timeout,
            now: OffsetDateTime::now_utc(),
        };
        let words = |error: Error| error.to_string();
        let target = caller(self.conninfo.clone(), &Environment::current(), &means)
            .await
            .map_err(words)?;
        let mut session = verify::enter(&target).await?;
        let limit = || Deadline::after(timeout);
        if !leads_to(&mut session, &change.server, limit()).await? {
            session.close(limit()).await;
            return Err("that login leads to another server than the one that was changed".to_owned());
        }
        let name = format!("SET application_name = {}", literal(NAME));
        for sql in [PATIENCE, &name] {
            session
                .query(sql, limit())
                .await
                .map_err(|error| error.to_string())?;
        }
        Ok(session)
    }
}

/// Takes a change back that nobody watches over any more, over a new login.
pub fn take_back_anew(
    dir: &Path,
    trial: &Trial,
    change: &Alteration,
    admin: Option<&Conninfo>,
) -> Result<Option<Taken>, Error> {
    over_a_login(dir, change, admin, async |session, limit| {
        take_back(trial, change, session, limit).await
    })
}

/// Puts a change in force over a new login.
pub fn put_anew(dir: &Path, change: &Alteration, admin: Option<&Conninfo>, side: Side) -> Result<(), Error> {
    over_a_login(dir, change, admin, async |session, limit| {
        put(session, limit, change, side).await
    })
}

/// What `postgresql.auto.conf` says of the settings of a change, where it is not what the change made of them.
pub fn altered_since(
    dir: &Path,
    change: &Alteration,
    admin: Option<&Conninfo>,
) -> Result<Vec<AutoSetting>, Error> {
    over_a_login(dir, change, admin, async |session, limit| {
        altered_over(session, limit, change).await
    })
}

/// The same over a session.
pub async fn altered_over(
    session: &mut Session,
    limit: &dyn Fn() -> Deadline,
    change: &Alteration,
) -> Result<Vec<AutoSetting>, String> {
    const SQL: &str = "SELECT name, setting FROM pg_file_settings WHERE sourcefile = \
        current_setting('data_directory') || '/postgresql.auto.conf' ORDER BY seqno DESC";
    let rows = session
        .query(SQL, limit())
        .await
        .map_err(|error| error.to_string())?;
    let now = |name: &str| {
        (0..rows.rows.len())
            .find(|at| rows.value(*at, "name") == Some(name))
            .and_then(|at| rows.value(at, "setting"))
            .map(str::to_owned)
    };
    let settings = change.settings.iter().map(|setting| AutoSetting {
        after: now(&setting.name),
        ..setting.clone()
    });
    let since = settings
        .zip(&change.settings)
        .filter(|(now, then)| now.after != then.after);
    Ok(since.map(|(now, _)| now).collect())
}

/// On a thread of its own: whoever asks may be in a runtime, or in none.
pub fn over_a_login<T: Send>(
    dir: &Path,
    change: &Alteration,
    admin: Option<&Conninfo>,
    work: impl AsyncFnOnce(&mut Session, &dyn Fn() -> Deadline) -> Result<T, String> + Send,
) -> Result<T, Error> {
    let failed = |why: String| Error::Database {
        doing: "going back over SQL".to_owned(),
        why: format!(
            "{why}; it needs a login as `{}`: give the password with PGPASSWORD or a password file, or name another way in with \
             --admin CONNINFO",
            change.conninfo
        ),
    };
    let done = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = runtime()?;
            runtime.block_on(async {
                let mut conninfo = match admin {
                    Some(admin) => admin.clone(),
                    None => Conninfo::parse(&change.conninfo).map_err(|error| error.to_string())?,
                };
                as_psql(&mut conninfo, &Environment::current());
                let login = Login {
                    conninfo,
                    passphrase: None,
                };
                let mut session = login.enter(dir, change).await?;
                let limit = || Deadline::after(Duration::from_millis(change.timeout));
                let done = work(&mut session, &limit).await;
                session.close(limit()).await;
                done
            })
        });
        thread.join().unwrap_or_else(|_| Err("it broke off".to_owned()))
    });
    done.map_err(failed)
}

pub fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| words(&error))
}
