//! Debian's package client: the system's own PostgreSQL, unpacked without root and without installing it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::process::Program;
use super::super::{Event, Events, ServerError};
use super::{Client, FetchPlan, bin_dir, failed, on_path, run};

/// The time a question to the package lists has.
const QUESTION: Duration = Duration::from_secs(60);

pub(super) async fn plan(wanted: Option<u16>, into: &Path) -> Option<FetchPlan> {
    let program = on_path(&["apt-get"])?;
    on_path(&["dpkg-deb"])?;
    let cache = on_path(&["apt-cache"])?;
    let names = Program::new(&cache)
        .args(["pkgnames", "postgresql-"])
        .limit(QUESTION)
        .run()
        .await
        .ok()?;
    let newest = names
        .stdout
        .lines()
        .filter_map(major_of)
        .filter(|&major| wanted.is_none_or(|w| w == major))
        .max();
    let (major, lists) = match (newest, wanted) {
        (Some(major), _) => (Some(major), true),
        // No lists on this machine yet (a fresh container): which version there is will be seen when they are.
        (None, _) if !names.stdout.lines().any(|name| major_of(name).is_some()) => (wanted, false),
        (None, _) => return None,
    };
    let package = major.map_or_else(|| "postgresql".to_owned(), |major| format!("postgresql-{major}"));
    let mut plan = FetchPlan {
        client: Client::Apt,
        into: into.join(format!(
            "apt-{}",
            major.map_or_else(|| "newest".to_owned(), |major| major.to_string())
        )),
        package,
        major,
        size: None,
        caveat: (!lists).then(|| "the package lists are fetched first, into a private place".into()),
        with: Vec::new(),
        program,
    };
    if lists {
        plan.with = needed(&plan, &[]).await.unwrap_or_default();
        plan.size = size(&cache, &plan).await;
    }
    Some(plan)
}

pub(super) async fn bring(
    plan: &FetchPlan,
    staging: &Path,
    copy: &Path,
    events: Events<'_>,
) -> Result<PathBuf, ServerError> {
    let mut plan = plan.clone();
    // The client's own drop to another account would not reach our directory.
    let mut options = vec!["-o".to_owned(), "APT::Sandbox::User=root".to_owned()];
    if plan.caveat.is_some() {
        options.extend(private_state(staging)?);
        let update = Program::new(&plan.program).args(&options).args(["-qq", "update"]);
        run(&plan, update, events).await?;
        if plan.major.is_none() {
            let cache = on_path(&["apt-cache"]).unwrap_or_else(|| PathBuf::from("apt-cache"));
            let names = run(
                &plan,
                Program::new(&cache)
                    .args(&options)
                    .args(["pkgnames", "postgresql-"]),
                events,
            )
            .await?;
            plan.major = names.lines().filter_map(major_of).max();
            let Some(major) = plan.major else {
                return Err(failed(
                    &plan,
                    vec!["the package lists hold no PostgreSQL server".into()],
                ));
            };
            plan.package = format!("postgresql-{major}");
        }
        plan.with = needed(&plan, &options).await?;
    }
    let packages = staging.join("packages");
    std::fs::create_dir(&packages).map_err(|error| ServerError::file("create", &packages, &error))?;
    let download = Program::new(&plan.program)
        .args(&options)
        .args(["-qq", "download", &plan.package])
        .args(&plan.with)
        .dir(&packages);
    run(&plan, download, events).await?;
    let unpack = on_path(&["dpkg-deb"]).unwrap_or_else(|| PathBuf::from("dpkg-deb"));
    let files = std::fs::read_dir(&packages).map_err(|error| ServerError::file("read", &packages, &error))?;
    for file in files.flatten() {
        events(Event::Client(format!(
            "unpacking {}",
            file.file_name().to_string_lossy()
        )));
        run(
            &plan,
            Program::new(&unpack).arg("-x").arg(file.path()).arg(copy),
            events,
        )
        .await?;
    }
    bin_dir(copy).ok_or_else(|| failed(&plan, vec!["the packages hold no PostgreSQL server".into()]))
}

/// The libraries, and the client programs, that would have to be installed with the server.
///
/// Only those: scripts, accounts and documentation are for an installation, and nothing of the C library is
/// to differ from the machine's own.
async fn needed(plan: &FetchPlan, options: &[String]) -> Result<Vec<String>, ServerError> {
    let ended = Program::new(&plan.program)
        .args(options)
        .args([
            "-qq",
            "--simulate",
            "--no-install-recommends",
            "install",
            &plan.package,
        ])
        .limit(QUESTION)
        .run()
        .await?;
    if !ended.success() {
        return Err(failed(plan, ended.last_lines(5)));
    }
    let client = plan.package.replace("postgresql-", "postgresql-client-");
    Ok(chosen(&ended.stdout, &client))
}

fn chosen(simulation: &str, client: &str) -> Vec<String> {
    const OF_THE_SYSTEM: [&str; 6] = ["libc6", "libc-", "libgcc-s1", "libllvm", "libperl", "libpam-"];
    simulation
        .lines()
        .filter_map(|line| line.strip_prefix("Inst ")?.split_whitespace().next())
        .filter(|name| *name == client || name.starts_with("lib"))
        .filter(|name| {
            !name.ends_with("-perl") && !OF_THE_SYSTEM.iter().any(|system| name.starts_with(system))
        })
        .map(str::to_owned)
        .collect()
}

async fn size(cache: &Path, plan: &FetchPlan) -> Option<u64> {
    let show = Program::new(cache)
        .args(["show", "--no-all-versions", &plan.package])
        .args(&plan.with)
        .limit(QUESTION);
    let ended = show.run().await.ok()?;
    let sizes = ended
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("Size: ")?.trim().parse::<u64>().ok());
    Some(sizes.sum()).filter(|&sum| sum > 0)
}

/// Options that give the client lists of its own below `staging`; what is installed stays known to it.
fn private_state(staging: &Path) -> Result<Vec<String>, ServerError> {
    let state = staging.join("state");
    for dir in ["lists/partial", "cache/archives/partial"] {
        let dir = state.join(dir);
        std::fs::create_dir_all(&dir).map_err(|error| ServerError::file("create", &dir, &error))?;
    }
    let state = state.display();
    Ok([
        format!("Dir::State={state}"),
        format!("Dir::State::lists={state}/lists"),
        "Dir::State::status=/var/lib/dpkg/status".into(),
        format!("Dir::Cache={state}/cache"),
        "Debug::NoLocking=1".into(),
    ]
    .into_iter()
    .flat_map(|option| ["-o".to_owned(), option])
    .collect())
}

/// 15 of `postgresql-15`, and nothing of `postgresql-15-cron`.
fn major_of(package: &str) -> Option<u16> {
    package.trim().strip_prefix("postgresql-")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_libraries_and_the_client_come_along() {
        let simulation = "Inst libc6 (2.36)\nInst libssl3 (3.0 Debian:12 [amd64])\nInst perl (5)\nInst libjson-perl (4)\n\
                          Inst libllvm14 (1)\nInst postgresql-client-15 (15)\nInst postgresql-common (248)\nConf libpq5 (15)\n";
        assert_eq!(
            chosen(simulation, "postgresql-client-15"),
            ["libssl3", "postgresql-client-15"]
        );
    }

    #[test]
    fn a_server_package_is_told_from_its_extensions() {
        assert_eq!(major_of("postgresql-15"), Some(15));
        assert_eq!(major_of("postgresql-15-cron"), None);
        assert_eq!(major_of("postgresql-client-15"), None);
    }
}
