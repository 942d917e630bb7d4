//! `pgtls verify --targets`: a line a target as it ends, a summary, metrics.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::Serialize;

use crate::conninfo::Environment;
use crate::engine::{self, Checked, Error, Event, Line, Means, Sweep, Tally, Teller};

use super::output::{Output, line_object};
use super::{Exit, drive};

/// No list is longer.
const LONGEST: u64 = 16 << 20;

#[derive(Serialize)]
struct Summary {
    summary: Tally,
}

/// Runs it.
pub fn run(
    list: &Path,
    prometheus: Option<&Path>,
    wanted: Sweep,
    means: Means,
    output: Output,
) -> Result<Exit, Error> {
    let lines = lines(list, output)?;
    let now = means.now;
    let checked = drive(async {
        let tell = Teller::new(move |event| {
            if let Event::Target(checked) = event {
                one(&checked, output);
            }
        });
        Ok(engine::sweep(lines, Environment::current(), means, wanted, &tell).await)
    })?;
    let tally = Tally::of(&checked);
    if output.json() {
        line_object(&Summary { summary: tally });
    } else {
        output.promise(holds(tally), &sentence(tally));
    }
    if let Some(path) = prometheus {
        engine::metrics(path, &checked, now)?;
    }
    Ok(exit(tally))
}

fn lines(list: &Path, output: Output) -> Result<Vec<Line>, Error> {
    let fail = |why: String, remedy: &str| Error::File {
        what: "the list of targets (--targets)",
        path: list.to_path_buf(),
        why,
        remedy: remedy.to_owned(),
    };
    let words = |error: std::io::Error| {
        fail(
            crate::server::words(&error),
            "check its name, and that you may read it",
        )
    };
    let mut text = zeroize::Zeroizing::new(Vec::new());
    let mut mode = 0;
    if list == Path::new("-") {
        std::io::stdin()
            .take(LONGEST + 1)
            .read_to_end(&mut text)
            .map_err(words)?;
    } else {
        // A pipe will do (`<(...)`), so it need not be a regular file.
        let file = std::fs::File::open(list).map_err(words)?;
        mode = file
            .metadata()
            .map_or(0, |meta| if meta.is_file() { meta.mode() } else { 0 });
        file.take(LONGEST + 1).read_to_end(&mut text).map_err(words)?;
    }
    if text.len() as u64 > LONGEST {
        return Err(fail("it is larger than 16 MiB".to_owned(), "name the right file"));
    }
    let lines = engine::read_lines(&text);
    if lines.is_empty() {
        return Err(fail(
            "there is no connection string in it".to_owned(),
            "write one a line, such as: host=db.example.org dbname=app user=app sslrootcert=/etc/app/root.crt",
        ));
    }
    if mode & 0o077 != 0 && engine::holds_a_password(&lines) {
        output.remark(format_args!(
            "warning: {} holds a password and others may read it: chmod 600 {0}, or use a passfile",
            list.display()
        ));
    }
    Ok(lines)
}

fn one(checked: &Checked, output: Output) {
    if output.json() {
        line_object(checked);
        return;
    }
    let place = match &checked.target {
        Some(target) => target.to_string(),
        None => format!("line {}", checked.line),
    };
    let days = checked.ends_first().map_or_else(String::new, |certificate| {
        format!("{} days", certificate.days_left.max(0))
    });
    output.target(checked.holds, &place, &days, checked.took, &checked.headline);
}

const fn holds(tally: Tally) -> Option<bool> {
    match tally {
        Tally { fail: 1.., .. } | Tally { unusable: 1.., .. } => Some(false),
        Tally {
            undetermined: 1.., ..
        } => None,
        _ => Some(true),
    }
}

fn sentence(tally: Tally) -> String {
    let mut parts = vec![format!("{} of {} targets hold", tally.hold, tally.targets)];
    for (count, what) in [
        (tally.fail, "do not"),
        (tally.expiring, "with a certificate that ends too soon"),
        (tally.undetermined, "could not be found out"),
        (tally.unusable, "lines could not be used"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    parts.join(", ")
}

/// A target that fails outweighs a line that cannot be used, and that one what could not be found out.
const fn exit(tally: Tally) -> Exit {
    match tally {
        Tally { fail: 1.., .. } => Exit::Broken,
        Tally { unusable: 1.., .. } => Exit::Usage,
        Tally {
            undetermined: 1.., ..
        } => Exit::Undetermined,
        _ => Exit::Holds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_list_that_holds_throughout_gives_0() {
        let tally = |hold, fail, undetermined, unusable| Tally {
            targets: hold + fail + undetermined + unusable,
            hold,
            fail,
            undetermined,
            unusable,
            expiring: 0,
        };
        assert_eq!(exit(tally(3, 0, 0, 0)), Exit::Holds);
        assert_eq!(exit(tally(3, 1, 1, 1)), Exit::Broken);
        assert_eq!(exit(tally(3, 0, 1, 1)), Exit::Usage);
        assert_eq!(exit(tally(3, 0, 1, 0)), Exit::Undetermined);
    }
}
