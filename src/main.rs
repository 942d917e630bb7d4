//! The program `pgtls`: the command line over the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // A defect of ours is told as one, not as a bare backtrace. It can only fail if it was done before.
    let _ = color_eyre::install();
    pgtls::cli::run(std::env::args_os())
}
