//! The checks: pure functions from what was collected to what was found.

pub(super) mod certificate;
pub(super) mod hba;
mod people;
pub(super) mod settings;

use super::{Facts, Finding};

/// Everything that is found.
pub(super) fn all(facts: &Facts) -> Vec<Finding> {
    let mut findings = settings::check(facts);
    findings.extend(certificate::check(facts));
    findings.extend(hba::check(facts));
    findings.extend(people::check(facts));
    findings
}
