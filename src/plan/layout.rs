//! Where things are in a project directory: a contract with people and scripts.

use std::path::PathBuf;

/// Names of the files below a project directory.
#[derive(Debug, Clone, Copy)]
pub struct Layout;

impl Layout {
    /// The answers.
    pub const SETUP: &'static str = "pgtls.toml";
    /// The directory of the CA.
    pub const CA: &'static str = "ca";
    /// The CA's certificate, where we made it.
    pub const CA_CERT: &'static str = "ca/root.crt";
    /// The CA's key, where we made it.
    pub const CA_KEY: &'static str = "ca/ca.key";
    /// The certificate of a new CA that is trusted and does not issue yet.
    pub const NEXT_CERT: &'static str = "ca/next.crt";
    /// Its key.
    pub const NEXT_KEY: &'static str = "ca/next.key";
    /// The certificate of the CA before, while it is still trusted.
    pub const OLD_CERT: &'static str = "ca/old.crt";
    /// The directory of what the server reads.
    pub const SERVER: &'static str = "server";
    /// The server's certificate and its chain, leaf first.
    pub const SERVER_CERT: &'static str = "server/server.crt";
    /// The server's key.
    pub const SERVER_KEY: &'static str = "server/server.key";
    /// The CAs whose client certificates the server accepts; in mTLS only.
    pub const SERVER_ROOT: &'static str = "server/root.crt";
    /// The server's settings.
    pub const CONF: &'static str = "server/postgresql.conf";
    /// Who may come in, and how.
    pub const HBA: &'static str = "server/pg_hba.conf";
    /// Which certificate name may log in as which role.
    pub const IDENT: &'static str = "server/pg_ident.conf";
    /// The directory of what is asked of a CA.
    pub const REQUESTS: &'static str = "request";
    /// The key for which a CA was asked for a server certificate.
    pub const REQUEST_KEY: &'static str = "request/server.key";
    /// That request.
    pub const REQUEST: &'static str = "request/server.csr";
    /// What a CA answered to it, with its chain.
    pub const ANSWER: &'static str = "request/server.crt";
    /// The root that this answer leads to.
    pub const ANSWER_ROOT: &'static str = "request/root.crt";
    /// What an elsewhere CA answered to the request of a client: `request/CN.crt`.
    #[must_use]
    pub fn answer(cn: &str) -> PathBuf {
        PathBuf::from(format!("request/{cn}.crt"))
    }

    /// The container: its service, where no compose file of the person's is in the directory.
    pub const COMPOSE: &'static str = "docker-compose.yml";
    /// The container's environment, with the password that its image asks for.
    pub const ENV: &'static str = "db.env";
    /// What the container runs first, and what has it read its files again.
    pub const ENTRY: &'static str = "server/entry.sh";
    /// What the image runs when it makes the database: it reads [`Layout::ROLES`].
    pub const INIT: &'static str = "server/init.sql";
    /// The container's roles and databases, with the verifiers of passwords.
    pub const ROLES: &'static str = "server/roles.sql";
    /// What git must not take.
    pub const IGNORE: &'static str = ".gitignore";
    /// How to connect.
    pub const CONNECT: &'static str = "CONNECT.md";
    /// How to run it.
    pub const RUNBOOK: &'static str = "RUNBOOK.md";
    /// The sandbox's data directory.
    pub const DATA: &'static str = ".pgtls/data";

    /// A file of a client kit: `clients/NAME/FILE`.
    #[must_use]
    pub fn kit_file(kit: &str, file: &str) -> PathBuf {
        ["clients", kit, file].iter().collect()
    }
}
