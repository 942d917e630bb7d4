//! What belongs to a file beside its bytes, its mode and its owner: access control lists and other extended attributes
//! (acl(5), xattr(7)). A file that takes the place of another has them too.

use std::os::fd::AsFd;

use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr};
use rustix::io::{Errno, Result};

/// Bytes of all names together, and of one value: more than Linux allows.
const MOST: usize = 1 << 16;

/// Gives one open file the attributes of another. A label of the system's own (`security.…`, as `SELinux` has them) is for
/// the system to give where we may not.
pub fn copy(from: impl AsFd, to: impl AsFd) -> Result<()> {
    let mut names = vec![0_u8; MOST];
    let length = match flistxattr(&from, &mut names[..]) {
        Ok(length) => length,
        // A file system without any.
        Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut value = vec![0_u8; MOST];
    for name in names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let copied = fgetxattr(&from, name, &mut value[..])
            .and_then(|length| fsetxattr(&to, name, &value[..length], XattrFlags::empty()));
        match copied {
            Err(error) if !name.starts_with(b"security.") => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
