//! Starting the container, and answering for it until somebody else does.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::{Event, Events, ServerError, is_temporary};
use super::client::failure;
use super::{Compose, Container};
use crate::dial::{Address, Deadline, open, ssl_request};

/// How long `docker compose up` may take.
const UP: Duration = Duration::from_secs(300);
/// How long a container may take until its server answers; making a database on a slow disk is part of it.
pub(super) const READY: Duration = Duration::from_secs(180);
/// How often the port is tried meanwhile.
pub(super) const POLL: Duration = Duration::from_millis(20);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(2);
/// How long a server that nobody wants may take to stop, seconds: what makes a database is given the time to end it, since a
/// later start goes on with what is there.
const FAREWELL: &str = "10";
/// The same where all of it is about to go.
pub(super) const SHORT_FAREWELL: &str = "1";

/// A running service. One that was started, and that nobody answers for yet, is stopped when dropped.
#[derive(Debug)]
#[must_use = "dropping it stops the server"]
pub struct Running {
    /// Its container.
    pub container: Container,
    guard: Guard,
}

impl Running {
    /// Whether the container was started or made anew just now; else it ran already, as it should.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.guard.0.is_some()
    }

    /// Lets the server run on without us.
    pub fn keep(mut self) {
        self.guard.0 = None;
    }
}

/// Stops the service when dropped.
#[derive(Debug)]
struct Guard(Option<Compose>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(compose) = self.0.take() {
            let farewell = if is_temporary(&compose.dir) {
                SHORT_FAREWELL
            } else {
                FAREWELL
            };
            // Dropped with the future that would have waited for it: this waits itself.
            let _ = Command::new(compose.docker.path())
                .args(compose.arguments())
                .args(["stop", "--timeout", farewell, &compose.service])
                .current_dir(&compose.dir)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
        }
    }
}

impl Compose {
    /// Brings the service up and waits until its server answers at `port` of this machine. A container that runs as
    /// its files say is left as it is. Dropping the future, or the [`Running`], stops what was started.
    pub async fn start(&self, port: u16, events: Events<'_>) -> Result<Running, ServerError> {
        let before = self.container().await?;
        let ran = before.as_ref().filter(|before| before.is_running());
        let mut guard = Guard(ran.is_none().then(|| self.clone()));
        let begun = OffsetDateTime::now_utc();
        let ended = self
            .command()
            .args(["up", "--detach", &self.service])
            .limit(UP)
            .run_telling(|line| events(Event::Client(line)))
            .await?;
        if !ended.success() {
            return Err(failure(&ended));
        }
        let container = self.container().await?.ok_or_else(|| failure(&ended))?;
        if ran.is_some_and(|ran| ran.id == container.id) {
            // A run that was killed may have left it in the middle of its first start.
            self.ready(&container, port, begun, events).await?;
            return Ok(Running { container, guard });
        }
        guard.0 = Some(self.clone());
        self.ready(&container, port, begun, events).await?;
        Ok(Running { container, guard })
    }

    /// Waits until the server answers, with an eye on its log.
    async fn ready(
        &self,
        container: &Container,
        port: u16,
        begun: OffsetDateTime,
        events: Events<'_>,
    ) -> Result<(), ServerError> {
        let lines = Mutex::new(Vec::<String>::new());
        let since = begun.format(&Rfc3339).unwrap_or_default();
        let follow = self
            .docker
            .command()
            .args(["logs", "--follow", "--since", &since, &container.id])
            .limit(READY)
            .run_telling_all(|line| {
                events(Event::Log(line.clone()));
                lines
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .push(line);
            });
        let gave_up = tokio::select! {
            biased;
            answered = answers(port) => (!answered).then_some("the container runs, and no server answers at its port"),
            // The log ends with the container: it comes back as often as it fails.
            _ = follow => Some("the container ended"),
        };
        let Some(why) = gave_up else { return Ok(()) };
        // Another one runs by now, and would fail as this one did.
        let _ = self.stop().await;
        let lines = lines
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Err(Self::broken(&lines, why))
    }
}

/// Whether PostgreSQL answers at the port before the time is up: the engine itself takes connections there long
/// before.
async fn answers(port: u16) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < READY {
        if answer(port).await {
            return true;
        }
        tokio::time::sleep(POLL).await;
    }
    false
}

async fn answer(port: u16) -> bool {
    let deadline = Deadline::after(ANSWER);
    let address = Address::known("127.0.0.1", SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let Ok(mut stream) = open(&address, deadline).await else {
        return false;
    };
    matches!(
        ssl_request(&mut stream, deadline).await,
        Ok(crate::dial::SslAnswer::Accepts | crate::dial::SslAnswer::Refuses)
    )
}
