//! Another kit's try on the same server: two ways back to two different pasts cannot both be right.

use std::path::Path;

use crate::apply::live::{Live, Mark, marks};
use crate::engine::{Error, prepare};
use crate::pki::printable;
use crate::server;

use super::books::pending;

/// Whether no try of another kit than this is open on the files in these directories; what to do where one is.
pub fn nobody_else(dir: &Path, directories: &[&Path]) -> Result<(), Error> {
    let dir = prepare::absolute(dir);
    let own = Live::of(&dir);
    let Some(mark) = marks(directories).into_iter().find(|mark| !own.knows(&mark.mark)) else {
        return Ok(());
    };
    let is_its = |kit: &Path| Live::of(kit).knows(&mark.mark);
    Err(
        match server::watched_projects().into_iter().find(|kit| is_its(kit)) {
            Some(kit) => of_kit(&kit, &mark),
            None => of_nobody(&mark),
        },
    )
}

fn of_kit(kit: &Path, mark: &Mark) -> Error {
    let at = printable(&kit.to_string_lossy());
    let stands = pending(kit).map(|says| format!(": {says}")).unwrap_or_default();
    Error::OutOfReach {
        what: format!(
            "a try of another kit, {at}, is open on {}, and goes back to what was there before{stands}",
            mark.file.display()
        ),
        remedy: format!(
            "decide there first: `pgtls harden --confirm --dir {at}` keeps it, `pgtls undo --dir {at}` takes it back; then run \
             this again"
        ),
    }
}

fn of_nobody(mark: &Mark) -> Error {
    let (name, file) = (mark.name.display(), mark.file.display());
    Error::OutOfReach {
        what: format!(
            "a try of another kit is open on {file}, or was left: {name} is that file as it was before, and no watchdog of it is \
             to be seen"
        ),
        remedy: format!(
            "decide it in that kit: `pgtls harden --confirm --dir KIT` keeps it, `pgtls undo --dir KIT` takes it back. Where the \
             kit is gone: `mv {name} {file}` and a reload put back what was there, or `rm {name}` keeps what is there now"
        ),
    }
}
