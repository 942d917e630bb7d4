//! `postgresql.conf`: a setting is changed where the line stands that decides over it.

use super::{Draft, Prevented, Wish};
use crate::conf::settings::{Document, Origin, boolean};
use crate::conf::{Edits, Files, Unreadable};

/// TLS with that certificate, and that CA for clients.
pub fn turn_on(draft: &mut Draft<'_>, wish: &Wish) -> Result<(), Prevented> {
    if let Some((certificate, key)) = &wish.pair {
        set(draft, "ssl_cert_file", certificate)?;
        set(draft, "ssl_key_file", key)?;
    }
    if let Some(ca) = wish.client_ca.as_ref().filter(|_| wish.stage.is_about_clients()) {
        set(draft, "ssl_ca_file", ca)?;
    }
    if let Some(lists) = wish
        .client_lists
        .as_ref()
        .filter(|_| wish.stage.is_about_clients())
    {
        set(draft, "ssl_crl_file", lists)?;
    }
    set(draft, "ssl", "on")
}

/// Whether a setting that is written so has that value: words for yes and no differ, and versions of TLS in letter case.
#[must_use]
pub fn is_same(name: &str, written: &str, value: &str) -> bool {
    let is_version = name.ends_with("_protocol_version");
    written == value
        || boolean(written).is_some_and(|is| Some(is) == boolean(value))
        || (is_version && written.eq_ignore_ascii_case(value))
}

/// Ciphers of TLS 1.2 with forward secrecy and authenticated encryption; those of TLS 1.3 all have them.
const CIPHERS: &str = "ECDHE+AESGCM:ECDHE+CHACHA20";

/// Whether a cipher list holds none but such ciphers
/// (<https://docs.openssl.org/3.0/man1/openssl-ciphers/#cipher-list-format>). What it cannot tell is not strong.
fn is_strong(list: &str) -> bool {
    let is_one = |name: &str| {
        let parts: Vec<&str> = name.split(['-', '+']).collect();
        ["ECDHE", "EECDH"].iter().any(|exchange| parts.contains(exchange))
            && ["GCM", "AESGCM", "CHACHA20"]
                .iter()
                .any(|cipher| parts.contains(cipher))
    };
    let names = || list.split([':', ',', ' ', ';']).filter(|name| !name.is_empty());
    let takes_away = |name: &&str| name.starts_with(['!', '-', '+', '@']);
    names().any(is_one) && names().filter(|name| !takes_away(name)).all(is_one)
}

/// No old version, no weak cipher. What is stricter already stays.
pub fn floor(draft: &mut Draft<'_>, wish: &Wish) -> Result<(), Prevented> {
    let present = |draft: &Draft<'_>, name| -> Result<Option<String>, Prevented> {
        let settings = draft.settings()?;
        let found = settings.effective(name);
        Ok(found.map(|setting| String::from_utf8_lossy(&setting.value).into_owned()))
    };
    let is_13 = |version: &String| version.eq_ignore_ascii_case("TLSv1.3");
    let lowest = present(draft, "ssl_min_protocol_version")?;
    let lowest = if wish.only_tls13 || lowest.is_some_and(|version| is_13(&version)) {
        "TLSv1.3"
    } else {
        "TLSv1.2"
    };
    set(draft, "ssl_min_protocol_version", lowest)?;
    // A highest version below the lowest keeps the server from starting.
    let highest = present(draft, "ssl_max_protocol_version")?;
    if highest.is_some_and(|version| !version.is_empty() && !is_13(&version)) {
        set(draft, "ssl_max_protocol_version", "")?;
    }
    let ciphers = present(draft, "ssl_ciphers")?.filter(|list| is_strong(list));
    set(draft, "ssl_ciphers", ciphers.as_deref().unwrap_or(CIPHERS))?;
    // Every suite of TLS 1.3 is strong but the one with the short tag (RFC 8446 section B.4); none named means the strong ones.
    let settings = draft.settings()?;
    if settings
        .effective("ssl_tls13_ciphers")
        .is_some_and(|setting| setting.value.windows(5).any(|part| part == b"CCM_8"))
    {
        set(draft, "ssl_tls13_ciphers", "")?;
    }
    set(draft, "ssl_prefer_server_ciphers", "on")
}

/// Sets one setting, in the file that decides over it.
fn set(draft: &mut Draft<'_>, name: &str, value: &str) -> Result<(), Prevented> {
    draft.want(name, value);
    let settings = draft.settings()?;
    let file = match settings.effective(name) {
        Some(found) => {
            let text = String::from_utf8_lossy(&found.value);
            if is_same(name, &text, value) {
                return Ok(());
            }
            if found.origin == Origin::CommandLine {
                return Err(Prevented::CommandLine {
                    name: name.to_owned(),
                    value: text.into_owned(),
                });
            }
            match &found.place {
                _ if draft.over_sql => draft.auto(),
                Some(place) => place.file.to_path_buf(),
                None => draft.server.conf.clone(),
            }
        }
        None if draft.over_sql => draft.auto(),
        None => draft.server.conf.clone(),
    };
    let bytes = match draft.read(&file) {
        Err(Unreadable::Missing) if draft.over_sql => Vec::new(),
        _ => draft.bytes(&file)?,
    };
    let document = Document::parse(bytes);
    let edits = Edits::new(document.set(name, value).into_iter().collect());
    if let Some(bytes) = edits.and_then(|edits| edits.apply(document.bytes())) {
        draft.put(&file, bytes);
    }
    Ok(())
}
