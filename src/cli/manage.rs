//! `pgtls undo`, `pgtls down`, `pgtls renew`.

use serde::Serialize;
use time::OffsetDateTime;

use crate::apply::{Undone as Taken, UndoneFile};
use crate::engine::{self, Error, Renew, Secrets, Stage};
use crate::setup::CertificateSource;

use super::args::{CaStage, Global, RenewArgs, UndoArgs};
use super::output::{Output, object};
use super::plan::FileRow;
use super::prompt::Prompt;
use super::{Exit, drive};

#[derive(Debug, Serialize)]
struct Undone {
    dir: String,
    /// What was taken back, in words.
    what: String,
    no_longer: Option<String>,
    files: Vec<UndoneRow>,
    kept: Vec<String>,
    remaining: usize,
}

/// A file that was touched.
#[derive(Debug, Serialize)]
pub struct UndoneRow {
    path: String,
    exists: bool,
}

impl UndoneRow {
    /// Of each file.
    pub fn all(files: &[UndoneFile]) -> Vec<Self> {
        files
            .iter()
            .map(|file| Self {
                path: file.path.display().to_string(),
                exists: file.exists,
            })
            .collect()
    }
}

/// Takes back the last write, of whatever kind: named first, and asked for on a terminal.
pub fn undo(global: &Global, args: &UndoArgs, output: Output) -> Result<Exit, Error> {
    let undoing = engine::undoing(&global.dir)?;
    if let Some(undoing) = &undoing {
        output.say(format_args!("This takes back {}", undoing.what));
        if let Some(no_longer) = &undoing.no_longer {
            output.say(format_args!("  then      {no_longer}"));
        }
        for key in &undoing.keys {
            output.say(format_args!(
                "  removes   {}: no copy of it stays here",
                key.display()
            ));
        }
        if !undoing.waits {
            Prompt::new(global).agrees("Take it back?", "nothing was taken back")?;
        }
        // While a person thought about it something else may have been written.
        if engine::undoing(&global.dir)?.as_ref() != Some(undoing) {
            return Err(Error::DoesNotFit {
                what: "something else was written or decided here meanwhile; nothing was taken back"
                    .to_owned(),
                remedy: "look what the last write is now: pgtls undo".to_owned(),
            });
        }
    }
    if let Some(exit) = super::harden::undo(global, args, output)? {
        return Ok(exit);
    }
    let undone = drive(engine::undo(&global.dir, &output.teller()))?;
    let remaining = engine::undos_left(&global.dir)?;
    let (what, no_longer) = undoing.map_or_else(Default::default, |one| (one.what, one.no_longer));
    if output.json() {
        object(&Undone {
            dir: engine::absolute(&global.dir).display().to_string(),
            what,
            no_longer,
            files: UndoneRow::all(&undone.files),
            kept: undone
                .kept
                .iter()
                .map(|kept| kept.copy.display().to_string())
                .collect(),
            remaining,
        });
        return Ok(Exit::Holds);
    }
    say_files(&undone, output);
    say_remaining(remaining, output);
    Ok(Exit::Holds)
}

/// What is left for another undo.
pub fn say_remaining(remaining: usize, output: Output) {
    match remaining {
        0 => output.remark("everything pgtls wrote here is taken back"),
        1 => output.remark("one earlier write can be taken back too"),
        n => output.remark(format_args!("{n} earlier writes can be taken back too")),
    }
}

/// What became of each file.
pub fn say_files(undone: &Taken, output: Output) {
    for file in &undone.files {
        output.say(format_args!(
            "  {:<8} {}",
            if file.exists { "restored" } else { "removed" },
            file.path.display()
        ));
    }
    for kept in &undone.kept {
        output.remark(format_args!(
            "kept a copy of your edit of {}: {}",
            kept.path.display(),
            kept.copy.display()
        ));
    }
}

#[derive(Debug, Serialize)]
struct Down {
    dir: String,
    stopped: Option<u16>,
    deleted: Vec<String>,
}

/// Stops the server; with `volumes` deletes its data.
pub fn down(global: &Global, volumes: bool, output: Output) -> Result<Exit, Error> {
    let prompt = Prompt::new(global);
    let ground = drive(engine::ground(&global.dir))?;
    let doomed = if volumes {
        drive(ground.volumes())?
    } else {
        Vec::new()
    };
    if !doomed.is_empty() {
        let list = doomed.join(", ");
        output.remark(format_args!("this deletes the database's data for good: {list}"));
        prompt.consent(
            "Delete it?",
            "nothing was stopped or deleted",
            "say --yes to delete the data, or leave out --volumes to stop the server only",
        )?;
    }
    let tell = output.teller();
    let stopped = drive(engine::stop(&ground, &tell))?;
    let deleted = if volumes {
        drive(ground.delete(&tell))?
    } else {
        Vec::new()
    };
    if output.json() {
        object(&Down {
            dir: engine::absolute(&global.dir).display().to_string(),
            stopped,
            deleted,
        });
    } else {
        for path in &deleted {
            output.say(format_args!("  deleted  {path}"));
        }
        if !volumes {
            output.remark("the data stays; `pgtls up` starts it again, `pgtls down --volumes` deletes it");
        }
    }
    Ok(Exit::Holds)
}

#[derive(Debug, Serialize)]
struct Renewed {
    dir: String,
    files: Vec<FileRow>,
    serial: String,
    not_after: String,
    served: Option<bool>,
}

impl From<CaStage> for Stage {
    fn from(stage: CaStage) -> Self {
        match stage {
            CaStage::Trust => Self::Trust,
            CaStage::Issue => Self::Issue,
            CaStage::Withdraw => Self::Withdraw,
        }
    }
}

/// What follows a stage of a new CA.
pub fn say_next(global: &Global, args: &RenewArgs, output: Output) {
    if let Some(next) = args
        .stage
        .and_then(|stage| engine::next_of(stage.into(), &global.dir))
    {
        output.remark(next);
    }
}

/// What is to be made anew, where the CA is the project's; asks where clients could be locked out.
pub fn what(args: &RenewArgs, prompt: Prompt) -> Result<Renew, Error> {
    let question = match (args.ca, args.stage) {
        (false, _) => return Ok(Renew::Leaves),
        (true, None) => "A new CA: until every client has the new root.crt it refuses this server. Go on?",
        (true, Some(CaStage::Trust)) => return Ok(Renew::Stage(Stage::Trust)),
        (true, Some(CaStage::Issue)) => {
            "Certificates of the new CA: a client that has not got the root.crt of the stage before refuses the server. Have all?"
        }
        (true, Some(CaStage::Withdraw)) => {
            "The old CA is withdrawn: a client that still shows a certificate of it is refused. Have all the new one?"
        }
    };
    prompt.consent(
        question,
        "nothing was renewed",
        "say --yes once every client has its new files, or leave out --ca to keep the CA",
    )?;
    Ok(args
        .stage
        .map_or(Renew::Everything, |stage| Renew::Stage(stage.into())))
}

/// Issues new certificates and proves that they are served.
pub fn renew(global: &Global, args: &RenewArgs, output: Output) -> Result<Exit, Error> {
    if let Some(to) = &args.units {
        return super::rotate::units(global, args, to, output);
    }
    if let Some(exit) = super::rotate::is_not_due(global, args, output)? {
        return Ok(exit);
    }
    if super::rotate::is_elsewhere(args) || engine::belongs_to_a_server(&global.dir)? {
        return super::rotate::renew(global, args, output);
    }
    let prompt = Prompt::new(global);
    let setup = engine::project(&global.dir)?;
    let what = match (&setup.certificates, args.ca) {
        (CertificateSource::Given { .. }, _) => {
            return Err(Error::DoesNotFit {
                what: "the server certificate here was given to you, so pgtls cannot reissue it".to_owned(),
                remedy: "get a new one from whoever issued it, and run `pgtls up` with --server-cert, --server-key, --root"
                    .to_owned(),
            });
        }
        (CertificateSource::Ca { .. }, true) => {
            return Err(Error::DoesNotFit {
                what: "the CA here is yours, so pgtls does not remake it".to_owned(),
                remedy: "make it anew where you keep it, then run `pgtls up` with --ca-cert and --ca-key"
                    .to_owned(),
            });
        }
        _ => what(args, prompt)?,
    };
    let key = match &setup.certificates {
        CertificateSource::Ca { key, .. } => vec![key.as_path()],
        _ => Vec::new(),
    };
    let secrets = Secrets {
        key_passphrase: prompt.passphrase(args.passphrase_file.as_deref(), &key)?,
        password: None,
    };
    let timeout = super::verify::timeout(args.timeout)?;
    let renewal = drive(engine::renew(
        &global.dir,
        &secrets,
        what,
        &prompt,
        timeout,
        OffsetDateTime::now_utc(),
        &output.teller(),
    ))?;
    let serial = renewal.certificate.serial_hex();
    let not_after = renewal.certificate.not_after().date().to_string();
    let exit = if renewal.served == Some(false) {
        Exit::Broken
    } else {
        Exit::Holds
    };
    if output.json() {
        object(&Renewed {
            dir: renewal.dir.display().to_string(),
            files: FileRow::all(&renewal.written.files),
            serial,
            not_after,
            served: renewal.served,
        });
        return Ok(exit);
    }
    output.say(format_args!(
        "  new server certificate: serial {serial}, valid until {not_after}"
    ));
    match renewal.served {
        Some(true) => output.say("  the server serves it"),
        Some(false) => output.failure(
            "the server still serves the old certificate",
            &["read its log; a reload that fails keeps the old certificate without a word".to_owned()],
        ),
        None => output.remark("no server of this project runs here: reload yours, then `pgtls verify`"),
    }
    say_next(global, args, output);
    Ok(exit)
}
