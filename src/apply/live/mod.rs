//! Files of a running server, outside of any project: changed all together, with the way back kept ready.
//!
//! The books of it are in the project directory, the files elsewhere. Before the first byte of the server's changes,
//! everything that going back needs is in place: beside each file a second name for the old one (a hard link, so that it
//! costs no space), and in the books what belongs where. Going back is then a rename a file, which works with a full disk,
//! needs no login, and may be done by whoever comes first: this run, its watchdog, or the next run.
//!
//! [`switch`](super::switch()) is for what must change at one instant: two halves of a pair that is in use. Going back there
//! goes the same way, with links and copies, and with room for them. Here nothing that is in use is half of something, since
//! new certificates have names of their own, and what counts is that the way back is short.
//!
//! | Name in `.pgtls/live/` | What it is |
//! |---|---|
//! | `watch.json` | who was seen coming in; no secret |
//! | `lock` | held for a moment by whoever decides over a try: keeps it, or takes it back |
//! | `NNNNNN.try/` | a change that is not confirmed yet; `record.json`, and the old bytes of each file |
//! | `NNNNNN.kept/` | a change that was confirmed, so that it can be undone |
//! | `NNNNNN.back/` | the last change that was taken back, for whoever asks what became of it |
//!
//! While a change waits, the process that watches over it holds a lock on `watched` in its directory.
//!
//! A change of settings over SQL (`ALTER SYSTEM`) has the same books: what it was before is in its record, and whoever goes
//! back holds the [`Decision`] while a session of theirs sets it again.
//!
//! A directory is moved from one name to the next in one step; that step is the decision.

mod books;
mod file;
mod marks;
mod obstacle;
mod record;

pub use books::{Decision, Live, Plan, Taken, Trial, is_trying};
pub use file::copy_aside;
pub use marks::{Mark, marks};
pub use obstacle::{MOUNT_ITS_DIRECTORY, can_replace};
pub use record::{Alteration, AutoSetting, LiveChange, Moment, Record, Wanted, WayIn, Witness};
