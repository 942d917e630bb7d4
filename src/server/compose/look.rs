//! What this machine has to run containers with, found out before anything is written.

use std::time::Duration;

use serde::Deserialize;

use super::super::diagnose::{diagnose, told};
use super::super::log::printable;
use super::super::process::Ended;
use super::super::{Diagnosis, ServerError};
use super::Docker;

/// How long the client may take for one answer: an engine that hangs is no engine.
const PATIENCE: Duration = Duration::from_secs(15);
/// The first major version of compose whose files these are; 1.29 also fails on engines of today.
const OLDEST_COMPOSE: u32 = 2;

/// What was found.
#[derive(Debug, Clone)]
pub struct Look {
    docker: Option<Docker>,
    /// The engine, or why there is none for us.
    pub engine: Result<Engine, Diagnosis>,
    /// The version of compose, or why there is none for us.
    pub compose: Result<String, Diagnosis>,
}

/// The engine that runs containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// Its version.
    pub version: String,
    /// The system it runs on, such as `Docker Desktop`.
    pub system: String,
    /// Whether it runs without root: the addresses of clients are lost on the way in.
    pub is_rootless: bool,
    /// Whether it maps the container's root to another account.
    pub remaps_accounts: bool,
}

impl Look {
    /// The first thing that is in the way; `None` if a container can be run.
    #[must_use]
    pub fn trouble(&self) -> Option<&Diagnosis> {
        self.engine.as_ref().err().or(self.compose.as_ref().err())
    }

    /// What containers are run with, or what is in the way.
    pub fn ready(self) -> Result<(Docker, Engine), Diagnosis> {
        let engine = self.engine?;
        self.compose?;
        Ok((self.docker.ok_or_else(absent)?, engine))
    }
}

fn absent() -> Diagnosis {
    told("docker-absent", "docker", "no docker on the PATH")
}

/// Looks. Takes some hundredths of a second, writes nothing, starts nothing.
pub async fn look() -> Look {
    let Some(docker) = Docker::find() else {
        return Look {
            docker: None,
            engine: Err(absent()),
            compose: Err(absent()),
        };
    };
    let (endpoint, compose) = tokio::join!(endpoint(&docker), compose(&docker));
    // A far engine is not asked: it could not see the project's files.
    let engine = match endpoint.as_deref().filter(|endpoint| is_far(endpoint)) {
        Some(far) => Err(told("docker-remote", &printable(far), &printable(far))),
        None => engine(&docker).await,
    };
    Look {
        docker: Some(docker),
        engine,
        compose,
    }
}

/// Where the client would look for its engine, by its context and environment.
async fn endpoint(docker: &Docker) -> Option<String> {
    let args = ["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"];
    let ended = docker.command().args(args).limit(PATIENCE).run().await.ok()?;
    ended.success().then(|| ended.stdout.trim().to_owned())
}

/// Whether an engine there has another file system than we.
fn is_far(endpoint: &str) -> bool {
    let Some((scheme, rest)) = endpoint.split_once("://") else {
        return false;
    };
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let near = ["127.0.0.1", "localhost", "[::1]"].iter().any(|near| {
        host.strip_prefix(near)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    });
    match scheme {
        "ssh" => true,
        "tcp" | "http" | "https" => !near,
        _ => false,
    }
}

/// The part of `docker info` that matters here.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Info {
    #[serde(default)]
    server_version: String,
    #[serde(default)]
    operating_system: String,
    #[serde(default, rename = "OSType")]
    os_type: String,
    #[serde(default)]
    security_options: Option<Vec<String>>,
}

async fn engine(docker: &Docker) -> Result<Engine, Diagnosis> {
    let args = ["info", "--format", "{{json .}}"];
    let ended = ended(docker.command().args(args).limit(PATIENCE).run().await)?;
    if ended.stderr.contains("podman") || ended.stdout.contains("\"buildahVersion\"") {
        return Err(told(
            "docker-podman",
            "docker",
            "docker info is answered by podman",
        ));
    }
    let info = serde_json::from_str::<Info>(&ended.stdout)
        .ok()
        .filter(|info| !info.server_version.is_empty());
    let Some(info) = info else {
        return Err(meaning(&ended));
    };
    if info.os_type == "windows" {
        return Err(told("docker-windows", "docker", "OSType: windows"));
    }
    let option = |name: &str| {
        info.security_options
            .iter()
            .flatten()
            .any(|option| option.split(',').any(|part| part == name))
    };
    Ok(Engine {
        version: printable(&info.server_version),
        system: printable(&info.operating_system),
        is_rootless: option("name=rootless"),
        remaps_accounts: option("name=userns"),
    })
}

async fn compose(docker: &Docker) -> Result<String, Diagnosis> {
    let args = ["compose", "version"];
    let ended = ended(docker.command().args(args).limit(PATIENCE).run().await)?;
    // `Docker Compose version v5.6.1`. A client without the plugin knows neither the command nor a flag of it.
    let version = ended.stdout.split_whitespace().last().unwrap_or_default();
    let version = version.trim_start_matches('v').to_owned();
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if ended.success() && major >= OLDEST_COMPOSE => Ok(printable(&version)),
        Some(_) if ended.success() => Err(told(
            "compose-old",
            &printable(&version),
            &format!("docker compose version: {}", printable(&version)),
        )),
        _ => Err(meaning(&ended)),
    }
}

fn ended(ended: Result<Ended, ServerError>) -> Result<Ended, Diagnosis> {
    ended.map_err(|error| told("docker-failed", &error.to_string(), &error.to_string()))
}

/// What the client's own words mean.
fn meaning(ended: &Ended) -> Diagnosis {
    let lines: Vec<String> = ended
        .stderr
        .lines()
        .chain(ended.stdout.lines())
        .map(printable)
        .collect();
    diagnose(&lines).unwrap_or_else(|| {
        let last = ended.last_lines(1).pop().unwrap_or_default();
        told("docker-failed", &last, &last)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_far_where_it_has_other_files() {
        for near in [
            "unix:///var/run/docker.sock",
            "npipe:////./pipe/docker_engine",
            "tcp://127.0.0.1:2375",
            "tcp://localhost:2375",
            "tcp://[::1]:2375",
            "",
        ] {
            assert!(!is_far(near), "{near}");
        }
        for far in [
            "ssh://me@build.example",
            "ssh://localhost",
            "tcp://10.0.0.7:2376",
            "tcp://127.0.0.1.example:2376",
            "tcp://localhost.example",
        ] {
            assert!(is_far(far), "{far}");
        }
    }
}
