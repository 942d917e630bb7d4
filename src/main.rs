//! The program `pgtls`: the command line over the library.

use std::io::Write as _;
use std::process::ExitCode;

use color_eyre::config::HookBuilder;

fn main() -> ExitCode {
    // A defect of ours is told as one, not as a bare backtrace. Its own way of telling panics once more where nobody listens.
    let (told, _) = HookBuilder::default().into_hooks();
    std::panic::set_hook(Box::new(move |panic| {
        let _ = writeln!(std::io::stderr(), "{}", told.panic_report(panic));
    }));
    pgtls::cli::run(std::env::args_os())
}
