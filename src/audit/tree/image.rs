//! Dockerfiles (<https://docs.docker.com/reference/dockerfile/>): what an image begins from, what is put into it.

use std::path::{Path, PathBuf};

use super::service::{Service, split};
use super::{Found, Tree, keys, normal, shown};

/// One instruction: its line, its word in capitals, the rest.
fn instructions(text: &str) -> Vec<(usize, String, String)> {
    let mut all = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let mut whole = line.trim().to_owned();
        if whole.is_empty() || whole.starts_with('#') {
            continue;
        }
        while let Some(rest) = whole.strip_suffix('\\') {
            let more = lines.next().map(|(_, more)| more.trim()).unwrap_or_default();
            if more.is_empty() && rest.is_empty() {
                break;
            }
            whole = format!("{rest}{more}");
        }
        if let Some((word, rest)) = whole.split_once(char::is_whitespace) {
            all.push((index + 1, word.to_ascii_uppercase(), rest.trim().to_owned()));
        }
    }
    all
}

/// The image that the last stage begins from; a stage that begins from an earlier one is followed.
pub fn base(text: &str) -> Option<String> {
    let stages: Vec<(String, Option<String>)> = instructions(text)
        .into_iter()
        .filter(|(_, word, _)| word == "FROM")
        .filter_map(|(_, _, rest)| {
            let words: Vec<&str> = rest
                .split_whitespace()
                .filter(|word| !word.starts_with("--"))
                .collect();
            let name = words.iter().position(|word| word.eq_ignore_ascii_case("as"));
            let name = name
                .and_then(|at| words.get(at + 1))
                .map(|name| (*name).to_owned());
            Some(((*words.first()?).to_owned(), name))
        })
        .collect();
    let mut image = stages.last()?.0.clone();
    for (from, name) in stages.iter().rev().skip(1) {
        if name.as_ref() == Some(&image) {
            image.clone_from(from);
        }
    }
    Some(image)
}

/// What `CMD` runs.
pub fn command(text: &str) -> Option<Vec<String>> {
    let (_, _, rest) = instructions(text)
        .into_iter()
        .rfind(|(_, word, _)| word == "CMD")?;
    match rest.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(inner) => Some(
            inner
                .split(',')
                .map(|word| word.trim().trim_matches('"').to_owned())
                .collect(),
        ),
        None => Some(split(&rest)),
    }
}

/// What is copied in: the line, the sources in the tree, the target.
fn copies(text: &str, context: &Path) -> Vec<(usize, Vec<PathBuf>, String)> {
    let mut all = Vec::new();
    for (line, word, rest) in instructions(text) {
        if !matches!(word.as_str(), "COPY" | "ADD") || rest.contains("--from=") {
            continue;
        }
        let rest = rest
            .trim_start_matches('[')
            .trim_end_matches(']')
            .replace(',', " ");
        let mut words: Vec<String> = split(&rest)
            .into_iter()
            .filter(|word| !word.starts_with("--"))
            .collect();
        let Some(target) = words.pop() else { continue };
        let sources = words
            .iter()
            .map(|word| normal(&context.join(word.trim_start_matches('/'))));
        all.push((line, sources.collect(), target));
    }
    all
}

/// The file of the tree that an image has at that path, if it was built here.
pub fn copied(tree: &Tree, service: &Service, path: &Path) -> Option<PathBuf> {
    let ((dockerfile, context), _) = service.build.as_ref()?;
    copies(tree.text(dockerfile)?, context)
        .into_iter()
        .rev()
        .find_map(|(_, sources, target)| {
            let rest = path.strip_prefix(target.trim_end_matches('/')).ok()?;
            sources.iter().find_map(|source| {
                let is_dir = tree.entries.get(source).is_some_and(|entry| entry.is_dir);
                let file = match (rest.as_os_str().is_empty(), is_dir) {
                    (true, _) => source.clone(),
                    (false, true) => source.join(rest),
                    // A file goes into a directory under its own name.
                    (false, false) if source.file_name() == rest.file_name() => source.clone(),
                    (false, false) => return None,
                };
                tree.entries.contains_key(&file).then_some(file)
            })
        })
}

/// Private keys that get into images.
pub fn check(tree: &Tree, services: &[Service], found: &mut Found) {
    let authorities = keys::of_authorities(tree);
    for (path, text) in tree.texts().filter(|(path, _)| is_dockerfile(path)) {
        let own = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let context = services
            .iter()
            .filter_map(|service| service.build.as_ref())
            .find(|((dockerfile, _), _)| dockerfile == path)
            .map_or(own, |((_, context), _)| context.clone());
        let ignored = ignored(tree, &context);
        for (line, sources, _) in copies(text, &context) {
            for (key, _) in keys::private(tree) {
                let is_covered = sources
                    .iter()
                    .any(|source| key.starts_with(source) || covers(source, &key));
                let is_left_out = key
                    .strip_prefix(&context)
                    .is_ok_and(|key| ignored.iter().any(|one| matches(one, key)));
                if is_covered && !is_left_out {
                    let what = if authorities.contains(&key) {
                        "the CA's key"
                    } else {
                        "the key"
                    };
                    let evidence = format!("{what} {} is copied into the image", shown(&key));
                    found.add("key-in-image", format!("{}:{line}", shown(path)), evidence);
                }
            }
        }
    }
}

fn is_dockerfile(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let name = name.to_ascii_lowercase();
    name.starts_with("dockerfile") || name.starts_with("containerfile") || name.ends_with(".dockerfile")
}

/// A source with a `*` in its last part.
fn covers(source: &Path, key: &Path) -> bool {
    let pattern = source
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    pattern.contains('*')
        && source.parent() == key.parent()
        && wild(
            pattern,
            key.file_name().and_then(|name| name.to_str()).unwrap_or_default(),
        )
}

fn ignored(tree: &Tree, context: &Path) -> Vec<String> {
    let text = tree.text(&context.join(".dockerignore")).unwrap_or_default();
    text.lines()
        .map(|line| line.trim().trim_matches('/').to_owned())
        .filter(|line| !line.is_empty() && !line.starts_with(['#', '!']))
        .collect()
}

/// Whether a line of `.dockerignore` leaves a file out.
fn matches(pattern: &str, path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    match pattern.strip_prefix("**/") {
        Some(rest) => wild(rest, name) || path.components().any(|part| part.as_os_str() == rest),
        None => path.starts_with(pattern) || wild(pattern, &path.to_string_lossy()),
    }
}

/// `*` stands for anything within one name.
fn wild(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(rest) = name.strip_prefix(before) else {
        return false;
    };
    (0..=rest.len())
        .filter(|at| rest.is_char_boundary(*at) && !rest[..*at].contains('/'))
        .any(|at| wild(after, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_stage_counts() {
        let text = "FROM alpine AS tool\nFROM postgres:17 as base\nRUN true\nFROM base\nCMD [\"postgres\", \"-c\", \"ssl=on\"]\n";
        assert_eq!(base(text).as_deref(), Some("postgres:17"));
        assert_eq!(command(text).unwrap(), ["postgres", "-c", "ssl=on"]);
        assert_eq!(base("RUN x"), None);
    }

    #[test]
    fn what_is_left_out_is_left_out() {
        for (pattern, path, out) in [
            ("*.key", "a.key", true),
            ("*.key", "certs/a.key", false),
            ("**/*.key", "certs/a.key", true),
            ("certs", "certs/a.key", true),
            ("certs/*", "certs/a.key", true),
            ("cert", "certs/a.key", false),
        ] {
            assert_eq!(matches(pattern, Path::new(path)), out, "{pattern} {path}");
        }
    }
}
