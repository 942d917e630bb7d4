//! The service file (<https://www.postgresql.org/docs/18/libpq-pgservice.html>).

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::error::words;
use super::quote::Quoted;
use super::settings::{Settings, unknown};
use super::text::is_blank;
use super::{Environment, Error, Keyword, Origin};

/// A line with its line feed must be shorter than this, as in libpq.
const LINE_LIMIT: usize = 1023;
/// More than this is no service file.
const FILE_LIMIT: u64 = 16 << 20;

/// Adds the values of the service that `service` or `PGSERVICE` names, if any.
///
/// The person's file comes first (`PGSERVICEFILE`, else `~/.pg_service.conf`), then `pg_service.conf` in
/// `PGSYSCONFDIR` or the built-in directory. Only `PGSERVICEFILE` must exist.
pub(super) fn apply(settings: &mut Settings, env: &Environment) -> Result<(), Error> {
    let (name, origin) = match settings.get(Keyword::Service) {
        Some(name) => (name.to_owned(), settings.origin(Keyword::Service).clone()),
        None => match env.variable("PGSERVICE")? {
            Some(name) => (name.to_owned(), Origin::Variable("PGSERVICE")),
            None => return Ok(()),
        },
    };
    let named = env.path("PGSERVICEFILE");
    let must_exist = named.is_some();
    let persons = named.or_else(|| env.at_home(".pg_service.conf"));
    let systems = env
        .path("PGSYSCONFDIR")
        .or_else(|| env.sysconfdir.clone())
        .map(|mut dir| {
            // libpq appends the name even to an empty directory.
            dir.as_mut_os_string().push("/pg_service.conf");
            dir
        });
    let mut searched = Vec::new();
    for (file, must_exist) in [(persons, must_exist), (systems, false)] {
        let Some(file) = file else { continue };
        let content = match read(&file) {
            Ok(content) => content,
            Err(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) if !must_exist => Vec::new(),
            Err(kind) => {
                return Err(Error::ServiceFileUnreadable {
                    file,
                    why: words(kind),
                });
            }
        };
        if scan(&content, &file, &name, settings)? {
            settings.add(Keyword::Service, &name, origin);
            return Ok(());
        }
        searched.push(file);
    }
    Err(Error::ServiceNotFound {
        name: Quoted::new(&name),
        origin: Box::new(origin),
        searched,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, io::ErrorKind> {
    let mut content = Vec::new();
    let file = File::open(path).map_err(|error| error.kind())?;
    let kind = file.metadata().map_err(|error| error.kind())?.file_type();
    // libpq opens a directory and finds nothing in it.
    if kind.is_dir() {
        return Ok(content);
    }
    file.take(FILE_LIMIT + 1)
        .read_to_end(&mut content)
        .map_err(|error| error.kind())?;
    if content.len() as u64 > FILE_LIMIT {
        return Err(io::ErrorKind::FileTooLarge);
    }
    Ok(content)
}

/// Reads the first section of that name, up to the next section; gives whether there was one.
///
/// Lines of other sections are not judged, except for their length.
fn scan(content: &[u8], file: &Path, service: &str, settings: &mut Settings) -> Result<bool, Error> {
    let mut inside = false;
    for (index, whole) in content.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let fault = |what: String| Error::ServiceFileLine {
            file: file.to_owned(),
            line: index + 1,
            what,
        };
        if whole.len() >= LINE_LIMIT {
            return Err(fault(format!(
                "it is too long: libpq reads at most {} bytes",
                LINE_LIMIT - 2
            )));
        }
        let line = trim(whole);
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        if let Some(header) = line.strip_prefix(b"[") {
            if inside {
                return Ok(true);
            }
            inside = header
                .strip_prefix(service.as_bytes())
                .is_some_and(|rest| rest.starts_with(b"]"));
            continue;
        }
        if inside {
            let line = std::str::from_utf8(line).map_err(|_| fault("it is not valid UTF-8".to_owned()))?;
            let origin = Origin::Service {
                name: service.to_owned(),
                file: file.to_owned(),
            };
            pair(line, origin, settings).map_err(fault)?;
        }
    }
    Ok(inside)
}

/// `keyword=value`, without blanks around `=`, without quotes; the first value of a keyword counts.
fn pair(line: &str, origin: Origin, settings: &mut Settings) -> Result<(), String> {
    if line.starts_with("ldap") {
        return Err("LDAP lookups are not supported here: write the parameters out".to_owned());
    }
    let (name, value) = line
        .split_once('=')
        .ok_or_else(|| "expected keyword=value, but there is no \"=\"".to_owned())?;
    if name == "service" {
        return Err("a service cannot refer to another service".to_owned());
    }
    let Some(keyword) = Keyword::from_name(name) else {
        if Keyword::from_name(name.trim_end_matches(is_blank)).is_some() {
            return Err("no blanks are allowed before the \"=\" in this file".to_owned());
        }
        return Err(unknown(name, false).to_string());
    };
    settings.add(keyword, value, origin);
    Ok(())
}

fn trim(line: &[u8]) -> &[u8] {
    let blank = |byte: &u8| is_blank(char::from(*byte));
    let start = line.iter().position(|byte| !blank(byte)).unwrap_or(line.len());
    let end = line
        .iter()
        .rposition(|byte| !blank(byte))
        .map_or(start, |last| last + 1);
    &line[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(content: &str) -> Result<(bool, Option<String>), Error> {
        let mut settings = Settings::default();
        let found = scan(
            content.as_bytes(),
            Path::new("pg_service.conf"),
            "a",
            &mut settings,
        )?;
        Ok((found, settings.get(Keyword::Port).map(str::to_owned)))
    }

    #[test]
    fn the_first_section_and_its_first_values_count() {
        let port = |content| scanned(content).unwrap().1;
        assert_eq!(port("[a]\nport=1\n[a]\nport=2\n").as_deref(), Some("1"));
        assert_eq!(port("[a]\nport=1\nport=2\n").as_deref(), Some("1"));
        assert_eq!(
            port("[b]\nnonsense\nport=9\n[a]\r\n\tport=1 \r\n").as_deref(),
            Some("1")
        );
        assert_eq!(
            port("[a]trailing\nport=1 # no comment").as_deref(),
            Some("1 # no comment")
        );
        assert_eq!(
            scanned("[ab]\nport=1\n[ a]\nport=1\n[a\nport=1").unwrap(),
            (false, None)
        );
        assert_eq!(scanned("[a]\n[b]\nport=1\n").unwrap(), (true, None));
    }

    #[test]
    fn a_bad_line_is_named_with_its_number() {
        for (content, part) in [
            ("[a]\nport =1\n", "no blanks"),
            ("[a]\nPORT=1\n", "did you mean \"port\""),
            ("[a]\nport\n", "no \"=\""),
            ("[a]\nservice=b\n", "another service"),
            ("[a]\nldap://x\n", "LDAP"),
            ("[a]\nrequiressl=1\n", "unknown"),
        ] {
            let error = scanned(content).unwrap_err().to_string();
            assert!(
                error.starts_with("line 2 of the service file \"pg_service.conf\""),
                "{error}"
            );
            assert!(error.contains(part), "{error}");
        }
        let line = |length: usize| format!("[b]\n{}\n[a]\nport=1\n", "x".repeat(length - 1));
        assert!(scanned(&line(1022)).is_ok());
        assert!(scanned(&line(1023)).unwrap_err().to_string().contains("too long"));
    }
}
