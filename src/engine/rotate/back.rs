//! The way back: of a change that did not hold, and of one that is undone.

use std::path::Path;
use std::time::Duration;

use time::OffsetDateTime;

use crate::apply::{self, Locked, UndoneFile};
use crate::conninfo::{Conninfo, Environment};
use crate::engine::{Error, Existing, Note, Teller, files};
use crate::pki::Certificate;

use super::means;

/// Takes the change back, and sees that too.
pub async fn go_back(
    project: &Locked,
    live: &mut Existing,
    note: &Note,
    before: Option<&Certificate>,
    changed: bool,
    why: String,
) -> Error {
    let what = format!("the server did not take its new files: {why}");
    if !changed {
        if note.with_previous {
            // What was written to the kit for it.
            _ = apply::undo(project);
        }
        return Error::NotInForce {
            what,
            remedy: "nothing was changed by this run; look at the server's log".to_owned(),
        };
    }
    let back = async {
        apply::undo(project)?;
        if note.with_previous {
            apply::undo(project)?;
        }
        live.reload().await?;
        match before {
            Some(before) => live.serves(before).await,
            None => Ok(true),
        }
    };
    match back.await {
        Ok(true) => Error::NotInForce {
            what: format!("{what}. Its files are as they were before, and it serves what it served"),
            remedy: "look at the server's log for the reason, mend it, then renew again".to_owned(),
        },
        Ok(false) => Error::NotInForce {
            what: format!("{what}. Its files are as they were before; what it serves now is something else"),
            remedy: "look at the server's log, then reload it".to_owned(),
        },
        Err(error) => Error::NotInForce {
            what: format!("{what}. Going back failed too: {error}"),
            remedy: format!(
                "mend that, then run `pgtls undo --dir {}`",
                project.dir().display()
            ),
        },
    }
}

/// Takes back the last change of files elsewhere, and has the server read them again. `None` where the last write was none.
pub async fn take_back(project: &Locked, dir: &Path, tell: &Teller) -> Result<Option<apply::Undone>, Error> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let Some(note) = apply::last_note(project)?.and_then(|text| Note::from_text(&text)) else {
        return Ok(None);
    };
    let means = means(dir, PATIENCE, OffsetDateTime::now_utc());
    let live = match Conninfo::parse(&note.conninfo) {
        Ok(conninfo) => {
            Existing::enter(conninfo, &Environment::current(), &means, Some(&note.config_dir)).await
        }
        Err(error) => Err(error.into()),
    };
    crate::engine::harden::nobody_else(dir, &[note.config_dir.as_path()])?;
    let mut undone = apply::undo(project)?;
    if note.with_previous {
        let before = apply::undo(project)?;
        undone.files.extend(before.files);
        undone.kept.extend(before.kept);
    }
    match live {
        Err(error) => tell.notice(format!(
            "the files are restored, but the server could not be asked to read them ({error}): reload it"
        )),
        Ok(mut live) => {
            if let Err(why) = follow(&mut live, &undone.files).await {
                tell.notice(format!(
                    "the files are restored, but the server does not follow: {why}"
                ));
            } else {
                tell.notice("the running server has read the restored files");
            }
            live.close().await;
        }
    }
    Ok(Some(undone))
}

async fn follow(live: &mut Existing, files: &[UndoneFile]) -> Result<(), String> {
    live.reload().await.map_err(|error| error.to_string())?;
    let Some(path) = live
        .file("ssl_cert_file")
        .filter(|path| files.iter().any(|file| file.path == *path))
    else {
        return Ok(());
    };
    let bytes = files::must_read("the certificate", &path).map_err(|error| error.to_string())?;
    let leaf = Certificate::from_pem(&bytes)
        .ok()
        .and_then(|chain| chain.into_iter().next());
    let Some(leaf) = leaf else {
        return Err(format!("{} holds no certificate", path.display()));
    };
    match live.serves(&leaf).await {
        Ok(true) => Ok(()),
        Ok(false) => Err("it still serves another certificate".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
