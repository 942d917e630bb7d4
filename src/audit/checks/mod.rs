//! The checks: pure functions from what was collected to what was found.

pub(super) mod certificate;
pub(super) mod hba;
mod maps;
mod people;
pub(super) mod settings;

use super::{Facts, Finding};
use crate::verify::Unread;

/// Everything that is found.
pub(super) fn all(facts: &Facts) -> Vec<Finding> {
    let mut findings = settings::check(facts);
    findings.extend(certificate::check(facts));
    findings.extend(hba::check(facts));
    findings.extend(people::check(facts));
    findings
}

/// A file that was changed since the server last read its files.
fn not_read(id: &'static str, file: &Unread) -> Option<Finding> {
    let [changed, read] = file.times();
    let finding = Finding::new(id, crate::pki::printable(&file.path.to_string_lossy()))?;
    Some(
        finding
            .evidence(format!("changed, or put there: {changed}"))
            .evidence(format!("last read by the server: {read} (pg_conf_load_time)")),
    )
}
