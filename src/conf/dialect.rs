//! What differs between the versions of PostgreSQL that read these files.

/// A major version's way of reading `pg_hba.conf` and `pg_ident.conf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dialect(u16);

impl Dialect {
    /// That of a major version, such as 17. Later versions than 18 are read as 18, earlier ones than 13 as 13.
    #[must_use]
    pub fn of(major: u16) -> Self {
        Self(major.clamp(13, 18))
    }

    /// The major version.
    #[must_use]
    pub const fn major(self) -> u16 {
        self.0
    }

    /// A backslash at the end of a line joins it to the next.
    pub(super) const fn continues_lines(self) -> bool {
        self.0 >= 14
    }

    /// The longest token, bytes.
    pub(super) const fn longest_token(self) -> Option<usize> {
        if self.0 < 16 { Some(10_239) } else { None }
    }

    /// `include`, `include_if_exists` and `include_dir` are directives; a leading `/` makes a database or role a
    /// regular expression; `pg_ident.conf` knows `all`, `+role` and expressions for PostgreSQL's side.
    pub(super) const fn has_includes_and_patterns(self) -> bool {
        self.0 >= 16
    }

    /// `clientcert` knows only `verify-ca` and `verify-full`, and there is `clientname`.
    pub(super) const fn has_strict_clientcert(self) -> bool {
        self.0 >= 14
    }

    /// `pg_hba_file_rules` says what is wrong with lists of RADIUS servers.
    pub(super) const fn tells_radius_lists(self) -> bool {
        self.0 >= 14
    }

    /// The method `oauth` exists.
    pub(super) const fn has_oauth(self) -> bool {
        self.0 >= 18
    }
}
