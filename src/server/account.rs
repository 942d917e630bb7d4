//! The account the server runs as.
//!
//! PostgreSQL refuses to run as root ("root" execution of the PostgreSQL server is not permitted), so root's
//! sandbox runs as another account; an ordinary user's runs as that user.

use std::io::Read;

use super::ServerError;

/// Accounts made for PostgreSQL (Debian and Red Hat, macOS, BSD), then the last resort.
const CANDIDATES: [&str; 4] = ["postgres", "_postgres", "pgsql", "nobody"];

/// Another account than our own, without root's powers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its user number.
    pub uid: u32,
    /// Its primary group's number.
    pub gid: u32,
}

impl Account {
    /// The account the server must run as: `None` is we ourselves, when we are not root.
    pub fn for_server() -> Result<Option<Self>, ServerError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let mut passwd = String::new();
        if let Ok(file) = std::fs::File::open("/etc/passwd") {
            let _ = file.take(1 << 20).read_to_string(&mut passwd);
        }
        Self::choose(&passwd).map(Some).ok_or(ServerError::NoAccount)
    }

    /// Whether it is the account that many services share, for want of a better one.
    #[must_use]
    pub fn is_last_resort(&self) -> bool {
        self.name == "nobody"
    }

    fn choose(passwd: &str) -> Option<Self> {
        CANDIDATES.iter().find_map(|name| {
            let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2);
            let uid = fields.next()?.parse().ok().filter(|&uid| uid != 0)?;
            let gid = fields.next()?.parse().ok()?;
            Some(Self {
                name: (*name).to_owned(),
                uid,
                gid,
            })
        })
    }
}

/// The name of an account, where this machine's own list has it; else its number, which does as one.
#[must_use]
pub fn account_name(uid: u32) -> String {
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| uid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefers_the_account_made_for_it() {
        let chosen = Account::choose(
            "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/x\npostgres:x:101:104:a,,:/v:/b\n",
        );
        assert_eq!(
            chosen,
            Some(Account {
                name: "postgres".into(),
                uid: 101,
                gid: 104
            })
        );
    }

    #[test]
    fn falls_back_to_nobody_and_never_to_root() {
        let chosen = Account::choose("postgres:x:0:0::/:/x\nnobody:*:-2:-2::/:/x\n");
        assert_eq!(
            chosen, None,
            "an account that is root in disguise, and numbers that are none"
        );
        let chosen = Account::choose("nobody:x:65534:65534::/:/x\n").unwrap();
        assert!(chosen.is_last_resort());
    }
}
