//! Connection URLs that name a service of the same directory, held against what that service has.

use std::path::PathBuf;

use super::service::Service;
use super::{Found, Spot, Tree};

/// A URL that leads to a service, and the database it names.
struct Url<'a> {
    host: &'a str,
    database: &'a str,
}

pub fn check(tree: &Tree, services: &[&Service], found: &mut Found) {
    // Somebody makes databases here: which, is not known.
    let makes = |text: &str| text.to_ascii_lowercase().contains("create database");
    if tree
        .texts()
        .any(|(_, text)| makes(text) || text.contains("createdb "))
    {
        return;
    }
    for (path, text) in tree.texts() {
        for (index, line) in text.lines().enumerate() {
            let Some(url) = read(line) else { continue };
            let Some(service) = services.iter().find(|service| service.name == url.host) else {
                continue;
            };
            let user = service
                .variable("POSTGRES_USER")
                .map_or("postgres", |(user, _)| user);
            let made = service
                .variable("POSTGRES_DB")
                .map_or(user, |(database, _)| database);
            let is_known = [made, "postgres", "template1", ""].contains(&url.database);
            if !is_known && !url.database.contains(['$', '{', '<', '%']) {
                let spot = Spot {
                    file: PathBuf::from(path),
                    line: index + 1,
                };
                let evidence = format!(
                    "the URL names {}, the service {} makes {made}",
                    url.database, service.name
                );
                found.add("client-database-missing", spot.shown(), evidence);
            }
        }
    }
}

fn read(line: &str) -> Option<Url<'_>> {
    let rest = ["postgres://", "postgresql://"]
        .iter()
        .find_map(|scheme| line.split_once(scheme))?
        .1;
    let end = rest
        .find(|char: char| char.is_whitespace() || "\"'`<>".contains(char))
        .unwrap_or(rest.len());
    let (authority, path) = rest[..end].split_once('/')?;
    let host = authority.rsplit('@').next()?;
    Some(Url {
        host: host.split(':').next()?,
        database: path.split(['?', '/']).next()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_database_are_read() {
        for (line, expected) in [
            (
                "DATABASE_URL=\"postgresql://u:p@db:5432/shop?sslmode=require\"",
                Some(("db", "shop")),
            ),
            ("x postgres://db/shop'", Some(("db", "shop"))),
            ("postgres://db", None),
            ("http://db/shop", None),
        ] {
            let url = read(line);
            assert_eq!(url.map(|url| (url.host, url.database)), expected, "{line}");
        }
    }
}
