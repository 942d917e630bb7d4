//! Work inside the running container: SQL as its superuser, roles, reload.

use std::time::Instant;

use super::super::diagnose::{all, told};
use super::super::log::printable;
use super::super::process::Ended;
use super::super::{Event, Events, Reload, SUPERUSER, ServerError};
use super::client::{docker, failure};
use super::start::{POLL, READY};
use super::{Compose, Container};

/// What parts columns and rows in psql's answer, and stands for NULL: control characters that no text of ours has.
const COLUMN: char = '\u{1f}';
const ROW: char = '\u{1e}';
const NULL: &str = "\u{1d}";

/// What was made that had not been there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// How many roles.
    pub roles: usize,
    /// How many databases.
    pub databases: usize,
}

impl Compose {
    /// Asks the server, as its superuser over the socket inside the container. The answer is rows of texts.
    pub async fn ask(
        &self,
        container: &Container,
        sql: &str,
    ) -> Result<Vec<Vec<Option<String>>>, ServerError> {
        let ended = self.psql(container, &["--quiet", "--command", sql]).await?;
        if !ended.success() {
            return Err(failure(&ended));
        }
        Ok(rows(&ended.stdout))
    }

    /// Makes the roles and databases of `server/roles.sql` that are missing, and sets the passwords.
    pub async fn make_roles(&self, container: &Container) -> Result<Made, ServerError> {
        let ended = self.psql(container, &["--file", "/run/pgtls/roles.sql"]).await?;
        if !ended.success() {
            return Err(failure(&ended));
        }
        let count = |tag: &str| ended.stdout.lines().filter(|line| *line == tag).count();
        Ok(Made {
            roles: count("CREATE ROLE"),
            databases: count("CREATE DATABASE"),
        })
    }

    /// Has the container load the project's files again and the server read them, and tells what it said about them.
    pub async fn reload(&self, container: &Container, events: Events<'_>) -> Result<Reload, ServerError> {
        let last = self.last_line(container).await?;
        self.docker
            .answer(&["exec", &container.id, "sh", "/etc/pgtls/entry.sh", "reload"])
            .await?;
        // The server takes no connection before it is done with the reload: an answer means that it is.
        self.ask(container, "SELECT 1").await?;
        let lines = self.lines_after(container, last.as_deref()).await?;
        for line in &lines {
            events(Event::Log(line.clone()));
        }
        Ok(Reload {
            complaints: all(&lines),
            lines,
        })
    }

    /// The service's container, which must run.
    pub async fn running(&self) -> Result<Container, ServerError> {
        match self.container().await? {
            Some(container) if container.is_running() => Ok(container),
            _ => Err(ServerError::NotRunning {
                project: self.dir.clone(),
            }),
        }
    }

    /// Runs psql. A server that was killed takes nobody in until it has recovered, though it answers at its port: that is
    /// waited for.
    async fn psql(&self, container: &Container, args: &[&str]) -> Result<Ended, ServerError> {
        const EARLY: [&str; 2] = [
            "the database system is starting up",
            "the database system is not yet accepting connections",
        ];
        let begun = Instant::now();
        loop {
            let ended = self.psql_once(container, args).await?;
            let is_early = !ended.success() && EARLY.iter().any(|sign| ended.stderr.contains(sign));
            if !is_early || begun.elapsed() > READY {
                return Ok(ended);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn psql_once(&self, container: &Container, args: &[&str]) -> Result<Ended, ServerError> {
        let separators = [
            format!("--field-separator={COLUMN}"),
            format!("--record-separator={ROW}"),
            format!("--pset=null={NULL}"),
        ];
        self.docker
            .command()
            .args(["exec", "--user", "postgres", &container.id, "psql", "--no-psqlrc"])
            .args(["--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"])
            .args(separators)
            .args(["--username", SUPERUSER, "--dbname", "postgres"])
            .args(args)
            .run()
            .await
    }

    /// The time stamp of the newest line of the container's log, as the engine writes it.
    async fn last_line(&self, container: &Container) -> Result<Option<String>, ServerError> {
        let lines = self.log(&container.id, &["--timestamps", "--tail", "1"]).await?;
        Ok(lines
            .last()
            .and_then(|line| stamp(line))
            .map(|(stamp, _)| stamp.to_owned()))
    }

    /// The lines of the log after that time stamp, printable and without theirs.
    async fn lines_after(
        &self,
        container: &Container,
        last: Option<&str>,
    ) -> Result<Vec<String>, ServerError> {
        let since: &[&str] = match &last {
            Some(last) => &["--timestamps", "--since", last],
            None => &["--timestamps"],
        };
        let lines = self.log(&container.id, since).await?;
        Ok(lines
            .iter()
            .filter_map(|line| stamp(line))
            .filter(|(stamp, _)| last.is_none_or(|last| *stamp > last))
            .map(|(_, text)| printable(text))
            .collect())
    }

    async fn log(&self, id: &str, args: &[&str]) -> Result<Vec<String>, ServerError> {
        let ended = self.docker.command().arg("logs").args(args).arg(id).run().await?;
        if !ended.success() {
            return Err(failure(&ended));
        }
        let mut lines: Vec<String> = ended
            .stdout
            .lines()
            .chain(ended.stderr.lines())
            .map(str::to_owned)
            .collect();
        // Two streams, one time: RFC 3339 with all its digits sorts as text.
        lines.sort_by(|one, other| stamp(one).cmp(&stamp(other)));
        Ok(lines)
    }

    /// The last lines of the log of a container that does not run as it should, and what they mean.
    pub(super) fn broken(lines: &[String], line: &str) -> ServerError {
        let diagnosis = super::super::diagnose(lines).unwrap_or_else(|| told("container-failed", "", line));
        let shown = lines.len().saturating_sub(20);
        docker(diagnosis, lines[shown..].to_vec())
    }
}

/// A line of `docker logs --timestamps`, parted.
fn stamp(line: &str) -> Option<(&str, &str)> {
    line.split_once(' ').or(Some((line, "")))
}

fn rows(answer: &str) -> Vec<Vec<Option<String>>> {
    let answer = answer.strip_suffix('\n').unwrap_or(answer);
    let answer = answer.strip_suffix(ROW).unwrap_or(answer);
    if answer.is_empty() {
        return Vec::new();
    }
    answer
        .split(ROW)
        .map(|row| {
            row.split(COLUMN)
                .map(|value| (value != NULL).then(|| value.to_owned()))
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_parted_and_null_is_told_from_empty() {
        assert_eq!(rows(""), Vec::<Vec<Option<String>>>::new());
        let text = format!("a{COLUMN}{ROW}{NULL}{COLUMN}two\nlines{ROW}\n");
        assert_eq!(
            rows(&text),
            [
                vec![Some("a".to_owned()), Some(String::new())],
                vec![None, Some("two\nlines".to_owned())]
            ]
        );
    }
}
