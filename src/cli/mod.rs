//! The command line: one file a command; text for people, JSON for scripts.

pub mod args;
mod audit;
mod connect;
mod demo;
mod harden;
mod inspect;
mod later;
mod manage;
mod modes;
mod output;
mod plan;
mod prompt;
mod request;
mod rotate;
mod sweep;
mod up;
mod verify;
mod wizard;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::engine::{Broken, Error, Kind};
use crate::verify::Verdict;
use args::{Cli, Command};
use output::Output;

/// Exit statuses: a contract with scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// What was promised holds.
    Holds = 0,
    /// It does not.
    Broken = 1,
    /// The question was wrong.
    Usage = 2,
    /// The environment lacks something.
    Environment = 3,
    /// It could not be found out.
    Undetermined = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Verified => Self::Holds,
            Verdict::Connected | Verdict::Refused => Self::Broken,
            Verdict::Undetermined => Self::Undetermined,
        }
    }
}

/// Runs a command line; what it returns is the process's exit status.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for; everything else is a mistake in the question.
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Holds
            };
            let _ = error.print();
            return exit.into();
        }
    };
    let output = Output::new(&cli.global);
    if cli.global.verbose > 1 {
        let _ = tracing_subscriber::fmt().with_writer(std::io::stderr).try_init();
    }
    match dispatch(cli, output) {
        Ok(exit) => exit.into(),
        Err(error) => {
            match &error {
                Error::Declined { .. } => Output::declined(&error),
                _ => output.error(&error),
            }
            match error.kind() {
                Kind::Broken => Exit::Broken,
                Kind::Usage => Exit::Usage,
                Kind::Environment => Exit::Environment,
                Kind::Undetermined => Exit::Undetermined,
            }
            .into()
        }
    }
}

fn dispatch(cli: Cli, output: Output) -> Result<Exit, Error> {
    let Cli {
        global,
        accessible,
        command,
    } = cli;
    let Some(command) = command else {
        return wizard::run(&global, accessible, output);
    };
    if accessible && !matches!(command, Command::Demo(_)) {
        return Err(Error::DoesNotFit {
            what: "--accessible is about the wizard and the lesson, and this command opens neither"
                .to_owned(),
            remedy: "leave it away: what a command says is plain lines already".to_owned(),
        });
    }
    match command {
        Command::Up(args) => up::run(&global, &args, output),
        Command::Plan(args) => plan::plan(&global, &args, output),
        Command::Apply(args) => plan::apply(&global, &args, output),
        Command::Undo(args) => manage::undo(&global, &args, output),
        Command::Down { volumes } => manage::down(&global, volumes, output),
        Command::Verify(args) => verify::run(&global, args.0, output),
        Command::Harden(args) => harden::run(&global, &args, output),
        Command::Watchdog => harden::watchdog(&global),
        Command::Audit(args) => audit::run(&global, &args, output),
        Command::Inspect(args) => inspect::run(&args, output),
        Command::Renew(args) => manage::renew(&global, &args, output),
        Command::Csr(args) => rotate::csr(&global, &args, output),
        Command::Connect(args) => connect::run(&global, &args, output),
        Command::Demo(args) => demo::run(&global, &args, accessible, output),
        Command::KeepLesson { dir } => demo::keep(&dir),
        Command::Completions { shell } => {
            // Into memory first: it does not take a reader that goes away.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "pgtls", &mut script);
            output::text(&String::from_utf8_lossy(&script));
            Ok(Exit::Holds)
        }
        Command::Man => {
            // A reader that has gone away is no failure of ours.
            let _ = clap_mangen::Man::new(Cli::command()).render(&mut std::io::stdout());
            Ok(Exit::Holds)
        }
    }
}

/// Runs a journey on this thread; a Ctrl-C, a closed terminal or a request to end drops it, which leaves no
/// server that it started.
fn drive<T>(journey: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::Environment {
            what: format!("no event loop could be made: {}", crate::server::words(&error)),
        })?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            biased;
            outcome = journey => outcome,
            by = interrupted() => Err(Error::Interrupted { by, now: how_it_is() }),
        }
    });
    // A name that is being looked up must not hold up the end.
    runtime.shutdown_background();
    outcome
}

/// What a journey that was dropped leaves: by then whatever watches over a try has gone back, or does.
fn how_it_is() -> Broken {
    match (crate::apply::live::is_trying(), crate::apply::has_written()) {
        (true, _) => Broken::Tried,
        (false, true) => Broken::Written,
        (false, false) => Broken::Nothing,
    }
}

async fn interrupted() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ];
    let [Ok(mut int), Ok(mut term), Ok(mut hup)] = kinds.map(signal) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = int.recv() => "Ctrl-C",
        _ = term.recv() => "a request to end (SIGTERM)",
        _ = hup.recv() => "the end of the terminal (SIGHUP)",
    }
}
