//! Servers whose files are somebody else's to write, known by what they show.

/// A service that runs PostgreSQL for its customers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Managed {
    /// Its name.
    pub name: &'static str,
    /// What to do there instead.
    pub instead: &'static str,
}

/// Which service it is, by roles and settings that only it has.
#[must_use]
pub fn managed<'a>(
    roles: impl IntoIterator<Item = &'a str>,
    settings: impl IntoIterator<Item = &'a str>,
) -> Option<Managed> {
    const BY_ROLE: [(&str, usize); 8] = [
        ("rds_superuser", 0),
        ("rdsadmin", 0),
        ("cloudsqlsuperuser", 1),
        ("alloydbsuperuser", 1),
        ("azure_pg_admin", 2),
        ("supabase_admin", 3),
        ("neon_superuser", 4),
        ("_crunchyrepl", 5),
    ];
    const BY_SETTING: [(&str, usize); 5] = [
        ("rds.", 0),
        ("cloudsql.", 1),
        ("alloydb.", 1),
        ("azure.", 2),
        ("aiven.", 6),
    ];
    const SERVICES: [Managed; 7] = [
        Managed {
            name: "Amazon RDS or Aurora",
            instead: "set rds.force_ssl = 1 in its parameter group, and give clients sslmode=verify-full with the RDS root \
                      bundle (global-bundle.pem)",
        },
        Managed {
            name: "Google Cloud SQL or AlloyDB",
            instead: "in the console, under Connections, Security, choose \"Allow only SSL connections\" (or \"Require \
                      trusted client certificates\"), and give clients the server CA that it offers for download",
        },
        Managed {
            name: "Azure Database for PostgreSQL",
            instead: "keep require_secure_transport = on and set ssl_min_protocol_version among its server parameters, and \
                      give clients sslmode=verify-full with the roots that Microsoft names",
        },
        Managed {
            name: "Supabase",
            instead: "in the dashboard, under Database, SSL Configuration, enforce SSL, and give clients the certificate \
                      that it offers for download",
        },
        Managed {
            name: "Neon",
            instead: "it accepts TLS only already: give clients sslmode=verify-full and sslrootcert=system",
        },
        Managed {
            name: "Crunchy Bridge",
            instead: "it accepts TLS only already: give clients sslmode=verify-full with the team's certificate from the \
                      dashboard",
        },
        Managed {
            name: "Aiven for PostgreSQL",
            instead: "it accepts TLS only already: give clients sslmode=verify-full with the project's CA from the console",
        },
    ];
    let mut found = None;
    for role in roles {
        found = found.or(BY_ROLE.iter().find(|(name, _)| *name == role));
    }
    for setting in settings {
        found = found.or(BY_SETTING.iter().find(|(start, _)| setting.starts_with(start)));
    }
    found.and_then(|(_, at)| SERVICES.get(*at).copied())
}

/// What shows that Patroni writes the configuration: files of its own in the data directory, or the head of a file that
/// it wrote. `names` are those in the data directory.
#[must_use]
pub fn patroni<'a>(names: impl IntoIterator<Item = &'a str>, conf: &[u8]) -> Option<String> {
    let file = names
        .into_iter()
        .find(|name| name.starts_with("patroni.dynamic.json") || name.starts_with("patroni.yml"));
    if let Some(name) = file {
        return Some(format!("{name} is in the data directory"));
    }
    conf.windows(b"overwritten by Patroni".len())
        .any(|window| window == b"overwritten by Patroni")
        .then(|| "its postgresql.conf says that Patroni overwrites it".to_owned())
}
