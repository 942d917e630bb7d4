//! A program of the person's own, run to its end: without a shell, bounded in time and output, what it says not trusted.

use std::path::Path;
use std::time::Duration;

use super::ServerError;
use super::process::Program;

/// Runs it as it stands, its words given one by one; gives what it wrote to its standard output.
pub async fn run_program(words: &[String], limit: Duration) -> Result<String, ServerError> {
    let (program, arguments) = words.split_first().ok_or_else(|| ServerError::Spawn {
        program: "nothing".to_owned(),
        why: "no program was named".to_owned(),
    })?;
    let ended = Program::new(Path::new(program))
        .args(arguments)
        .limit(limit)
        .run()
        .await?;
    if ended.success() {
        return Ok(ended.stdout);
    }
    Err(ServerError::Failed {
        program: program.clone(),
        lines: ended.last_lines(10),
    })
}
