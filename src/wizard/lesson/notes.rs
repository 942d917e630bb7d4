//! The presenter's notes, on a second terminal: they follow the scene that is played on the first.
//!
//! The lesson leaves the name of its scene in a small file of the person's own run-time directory; whoever shows notes
//! looks at it now and then.

use std::io::Write as _;
use std::path::PathBuf;

use crate::engine::demo::Scene;
use crate::server::Places;

/// The file, where this system gives a place for it.
fn file() -> Option<PathBuf> {
    let places = Places::of_this_machine();
    Some(places.runtime.or(places.state)?.join("lesson"))
}

/// Says which scene is played. It is a convenience: where it cannot be said, only the notes stay behind.
pub fn publish(scene: Scene) {
    let Some(file) = file() else { return };
    let write = || -> std::io::Result<()> {
        let dir = file
            .parent()
            .ok_or_else(|| std::io::Error::other("no directory"))?;
        std::fs::create_dir_all(dir)?;
        let mut new = tempfile::NamedTempFile::new_in(dir)?;
        writeln!(new, "{} {}", scene.name(), std::process::id())?;
        new.persist(&file)?;
        Ok(())
    };
    let _ = write();
}

/// Says that none is played any more.
pub fn withdraw() {
    if let Some((_, process)) = now()
        && process == std::process::id()
        && let Some(file) = file()
    {
        let _ = std::fs::remove_file(file);
    }
}

/// The scene that is played now on this machine by this person, and by which process.
#[must_use]
pub fn now() -> Option<(Scene, u32)> {
    let bytes = crate::engine::read("the scene", &file()?).ok()??;
    let text = std::str::from_utf8(&bytes).ok()?;
    let mut words = text.split_whitespace();
    let scene = Scene::named(words.next()?)?;
    let process: u32 = words.next()?.parse().ok()?;
    // One that was killed has not withdrawn it.
    let pid = i32::try_from(process)
        .ok()
        .and_then(rustix::process::Pid::from_raw)?;
    rustix::process::test_kill_process(pid).ok()?;
    Some((scene, process))
}

/// The notes of a scene as plain lines.
#[must_use]
pub fn lines(scene: Scene, columns: usize) -> Vec<String> {
    let text = scene.text();
    let mut lines = vec![format!(
        "{} of {}  {}",
        scene.place() + 1,
        Scene::ALL.len(),
        text.title
    )];
    let mut parts = vec![text.says.clone(), text.notes.clone(), text.source.clone()];
    if let Some(next) = Scene::ALL.get(scene.place() + 1) {
        parts.push(format!("Next: {}. {}", next.text().title, next.text().says));
    }
    for part in parts {
        lines.push(String::new());
        lines.extend(super::super::widgets::wrap(&part, columns));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wizard::widgets::width;

    /// A terminal would break words, not between them. (An address is one word.)
    #[test]
    fn no_line_is_longer_than_the_terminal() {
        for scene in Scene::ALL {
            for line in lines(scene, 60) {
                assert!(width(&line) <= 60, "{line}");
            }
        }
    }
}
