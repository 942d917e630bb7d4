//! From answers to changes: what would be written, without writing any of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use time::OffsetDateTime;

use crate::apply::{self, BOOKS, Changes, Policy, Project, compare, compare_beside};
use crate::conninfo::Conninfo;
use crate::plan::{Found, Kit, Layout, Plan};
use crate::server::FreePort;
use crate::setup::{Answers, Run, Setup};

use super::credentials::{Gathered, Renew, Secrets, gather_for};
use super::{Error, Ground, Step, Teller, files};

/// What a journey starts from.
#[derive(Debug, Clone)]
pub struct Request {
    /// The project directory, as the person named it.
    pub dir: PathBuf,
    /// What the flags say; relative paths are relative to the working directory.
    pub flags: Answers,
    /// An answers file that was named.
    pub answers_file: Option<PathBuf>,
    /// What is not saved.
    pub secrets: Secrets,
    /// What is to be made anew.
    pub renew: Renew,
    /// Keys and certificates that were made for a preview of the same setup: they are written, instead of others.
    pub gathered: Option<Arc<Gathered>>,
    /// From where upwards a free port is looked for, if none is named.
    pub first_port: u16,
    /// The time.
    pub now: OffsetDateTime,
}

/// The port of a PostgreSQL that nobody gave another.
pub const USUAL_PORT: u16 = 5432;

/// Everything worked out, nothing written.
pub struct Prepared {
    /// The project directory, absolute.
    pub dir: PathBuf,
    /// The validated answers.
    pub setup: Setup,
    /// What was found on this machine.
    pub found: Found,
    /// The files as they should be.
    pub plan: Plan,
    /// The files against the disk; taken when they are written.
    pub changes: Option<Changes>,
    /// The logins, in order.
    pub kits: Vec<Kit>,
    /// Keys and certificates.
    pub gathered: Arc<Gathered>,
    /// Where the server runs.
    pub ground: Ground,
    /// The port, where we chose it, kept until the server takes it.
    pub held: Option<FreePort>,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared")
            .field("dir", &self.dir)
            .field("setup", &self.setup)
            .finish_non_exhaustive()
    }
}

impl Prepared {
    /// How the first client connects.
    #[must_use]
    pub fn conninfo(&self) -> Conninfo {
        match self.kits.first() {
            Some(kit) => kit.conninfo(&self.setup, &self.dir, self.found.port),
            None => Conninfo::new(),
        }
    }
}

/// The answers of a project and a request, layered: flags over the answers file over what was saved.
pub fn setup(request: &Request) -> Result<Setup, Error> {
    Setup::from_answers(&answers(request)?).map_err(Error::Answers)
}

/// The same before anything is judged.
pub(super) fn answers(request: &Request) -> Result<Answers, Error> {
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let mut answers = saved(&request.dir)?.unwrap_or_default();
    if let Some(path) = &request.answers_file {
        let text = files::must_read("the answers file (--answers)", path)?;
        answers = answers.overlay(parse(&text, path, &here)?);
    }
    Ok(answers.overlay(request.flags.clone().relative_to(&here)))
}

/// What a project's own answers file says, where there is one.
pub fn saved(dir: &Path) -> Result<Option<Answers>, Error> {
    let path = dir.join(Layout::SETUP);
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    files::read("the saved answers", &path)?
        .map(|text| parse(&text, &path, &here))
        .transpose()
}

fn parse(text: &[u8], path: &Path, here: &Path) -> Result<Answers, Error> {
    let text = std::str::from_utf8(text).map_err(|_| Error::File {
        what: "the answers file",
        path: path.to_path_buf(),
        why: "it is not UTF-8 text".to_owned(),
        remedy: "save it as UTF-8".to_owned(),
    })?;
    let base = here.join(path);
    let base = base.parent().unwrap_or(here);
    Ok(Answers::from_toml(text, path)
        .map_err(Error::Answers)?
        .relative_to(base))
}

/// The setup of a project that exists.
pub fn project(dir: &Path) -> Result<Setup, Error> {
    let answers = saved(dir)?.ok_or_else(|| Error::NoProject(dir.to_path_buf()))?;
    Setup::from_answers(&answers).map_err(Error::Answers)
}

/// An absolute path for a directory that need not exist.
#[must_use]
pub fn absolute(dir: &Path) -> PathBuf {
    let resolve = |path: &Path| path.canonicalize().ok();
    if let Some(path) = resolve(dir) {
        return path;
    }
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
    match (dir.parent().and_then(resolve), dir.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => dir,
    }
}

/// Writes the answers alone, to go on from another time; whatever else is there stays. Returns their file.
pub fn save_answers(request: &Request) -> Result<PathBuf, Error> {
    let setup = setup(request)?;
    let project = Project::create(&request.dir)?;
    let changes = compare_beside(&project, &[Plan::answers(&setup)])?;
    apply::write(&project, changes, Policy::KeepCopy)?;
    Ok(absolute(&request.dir).join(Layout::SETUP))
}

/// The logins of a project. Roles of a server that is there have their own passwords.
pub(super) fn kits(setup: &Setup, dir: &Path) -> Vec<Kit> {
    let beside = is_beside_a_server(setup, dir);
    let mut kits = Kit::all(setup);
    for kit in kits.iter_mut().filter(|_| beside) {
        kit.wants_password = false;
    }
    kits
}

/// Whether the project is kept beside a server that was hardened: that server's own files are none of the project's.
pub(super) fn is_beside_a_server(setup: &Setup, dir: &Path) -> bool {
    setup.run == Run::None && dir.join(BOOKS).join("live").is_dir()
}

/// Works everything out against a directory, which need not exist.
///
/// `ground` is where the server runs; without it, what is there now is looked at.
pub async fn prepare(
    request: &Request,
    project: &Project,
    ground: Option<Ground>,
    tell: &Teller,
) -> Result<Prepared, Error> {
    prepare_as(setup(request)?, request, project, ground, tell).await
}

/// The same for answers that are not those of the directory.
pub(super) async fn prepare_as(
    setup: Setup,
    request: &Request,
    project: &Project,
    ground: Option<Ground>,
    tell: &Teller,
) -> Result<Prepared, Error> {
    let dir = absolute(&request.dir);
    let ground = match ground {
        Some(ground) => ground,
        None => Ground::look(&setup, &dir).await?,
    };
    let setup = ground.settle(setup);
    let (port, held) = ground.port(&setup, request.first_port).await?;
    let beside = is_beside_a_server(&setup, &dir);
    let kits = kits(&setup, &dir);
    let step = tell.begin(Step::Certificates);
    let gathered = match &request.gathered {
        Some(gathered) => Arc::clone(gathered),
        None => Arc::new(gather_for(
            &setup,
            &dir,
            &request.secrets,
            request.renew,
            request.now,
            kits.clone(),
        )?),
    };
    let found = ground.found(&setup, &dir, port, &gathered.credentials)?;
    let plan = if beside {
        Plan::beside_a_server(&setup, &gathered.credentials, &found)
    } else {
        Plan::new(&setup, &gathered.credentials, &found)
    };
    // What is asked of a CA goes on beside it.
    let mut changes = compare(project, &plan.artifacts)?.leaving(Layout::REQUESTS);
    if gathered.ca_is_away {
        changes = changes.leaving(Layout::CA);
    }
    let changes = Some(changes);
    step.done(match gathered.told().as_slice() {
        [] => "certificates are as they should be".to_owned(),
        notes => notes.join("; "),
    });
    Ok(Prepared {
        dir,
        setup,
        found,
        plan,
        changes,
        kits,
        gathered,
        ground,
        held,
    })
}
