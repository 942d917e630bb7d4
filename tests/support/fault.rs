//! What makes faults: `strace`, and file systems of a test's own.

use std::path::PathBuf;

use super::{Job, scratch, skip};

/// Whether `strace` may trace here; notes a skip if not.
pub fn has_strace() -> bool {
    let works = Job::new("sh")
        .args(["-c", "command -v strace >/dev/null && strace -o /dev/null true"])
        .run()
        .ok;
    if !works {
        skip("strace is not here, or may not trace", true);
    }
    works
}

/// A mounted file system, gone when dropped.
pub struct Mount {
    /// Where.
    pub at: PathBuf,
}

impl Mount {
    /// One in memory, with those options. Takes root.
    pub fn tmpfs(options: &str) -> Self {
        let at = scratch("mount");
        Job::new("mount")
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(&at)
            .run()
            .expect_ok("mount");
        Self { at }
    }

    /// Changes its options, such as `ro`.
    pub fn remount(&self, options: &str) {
        Job::new("mount")
            .args(["-o", &format!("remount,{options}")])
            .arg(&self.at)
            .run()
            .expect_ok("mount");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        Job::new("umount").arg("-l").arg(&self.at).run();
    }
}
