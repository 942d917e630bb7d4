//! Where the server's files are out of reach: everything that its administrator needs, as files and two scripts.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::apply::{self, Policy, compare_beside, sha256};
use crate::engine::Error;
use crate::plan::{Artifact, Content, Line, shell};

use super::{Proposal, Survey};

const APPLY: &str = include_str!("../../../assets/harden/apply.sh");
const ROLLBACK: &str = include_str!("../../../assets/harden/rollback.sh");
const RUNBOOK: &str = include_str!("../../../assets/harden/RUNBOOK.md");

/// Writes the bundle of a stage into the project, beside certificates and client kits; gives its directory.
pub fn bundle(survey: &Survey, proposal: &Proposal) -> Result<PathBuf, Error> {
    let below = Path::new("bundle").join(proposal.stage.name());
    let project = apply::Project::create(&proposal.project.dir)?;
    let mut artifacts = proposal.project.plan.artifacts.clone();
    let mut table = String::new();
    let mut list = String::new();
    for (at, change) in proposal.changes.iter().enumerate() {
        let Some(wanted) = &change.after else { continue };
        let name = change.path.file_name().unwrap_or_default().to_string_lossy();
        let file = format!("{at}-{name}");
        let before = change
            .before
            .as_ref()
            .map_or_else(|| "-".to_owned(), |bytes| sha256(bytes));
        let path = change.path.to_string_lossy();
        let _ = writeln!(
            table,
            "put {} {} {before} {:04o}",
            shell(&file),
            shell(&path),
            wanted.mode
        );
        let _ = writeln!(
            list,
            "| `{}` | {} |",
            crate::pki::printable(&path),
            if change.before.is_some() { "changed" } else { "new" }
        );
        artifacts.push(Artifact {
            path: below.join("files").join(file),
            mode: 0o600,
            // Rules and settings too: who may read them on the server is not ours to widen.
            content: Content::Secret {
                bytes: wanted.content.clone(),
                description: format!("for {}", crate::pki::printable(&path)),
            },
        });
    }
    let mut diffs = String::new();
    for file in &proposal.files {
        diffs.push_str(file.diff.trim_end());
        diffs.push('\n');
    }
    let data = survey.server.data.to_string_lossy();
    let fill = |text: &str| {
        text.replace("{{stage}}", proposal.stage.name())
            .replace("{{means}}", proposal.stage.means())
            .replace("{{data}}", &shell(&data))
            .replace("{{files}}\n", &table)
            .replace("{{list}}\n", &list)
            .replace("{{diff}}\n", &diffs)
    };
    for (name, text, mode) in [
        ("apply.sh", APPLY, 0o755),
        ("rollback.sh", ROLLBACK, 0o755),
        ("RUNBOOK.md", RUNBOOK, 0o644),
    ] {
        artifacts.push(Artifact {
            path: below.join(name),
            mode,
            content: Content::Text(fill(text).lines().map(line).collect()),
        });
    }
    let changes = compare_beside(&project, &artifacts)?;
    apply::write(&project, changes.by("harden"), Policy::KeepCopy)?;
    Ok(proposal.project.dir.join(below))
}

fn line(text: &str) -> Line {
    Line {
        text: text.to_owned(),
        why: None,
    }
}
