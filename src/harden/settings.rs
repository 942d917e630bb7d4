//! `postgresql.conf`: a setting is changed where the line stands that decides over it.

use super::{Draft, Prevented, Stage, Wish};
use crate::conf::settings::{Document, Origin, boolean};
use crate::conf::{Edits, Files, Unreadable};

/// TLS with that certificate, and that CA for clients.
pub fn turn_on(draft: &mut Draft<'_>, wish: &Wish) -> Result<(), Prevented> {
    if let Some((certificate, key)) = &wish.pair {
        set(draft, "ssl_cert_file", certificate)?;
        set(draft, "ssl_key_file", key)?;
    }
    if let Some(ca) = wish.client_ca.as_ref().filter(|_| wish.stage == Stage::Mtls) {
        set(draft, "ssl_ca_file", ca)?;
    }
    if let Some(lists) = wish.client_lists.as_ref().filter(|_| wish.stage == Stage::Mtls) {
        set(draft, "ssl_crl_file", lists)?;
    }
    set(draft, "ssl", "on")
}

/// Ciphers of TLS 1.2 with forward secrecy and authenticated encryption; those of TLS 1.3 all have them.
const CIPHERS: &str = "ECDHE+AESGCM:ECDHE+CHACHA20";

/// No old version, no weak cipher.
pub fn floor(draft: &mut Draft<'_>, wish: &Wish) -> Result<(), Prevented> {
    let lowest = if wish.only_tls13 { "TLSv1.3" } else { "TLSv1.2" };
    set(draft, "ssl_min_protocol_version", lowest)?;
    // A highest version below the lowest keeps the server from starting.
    let settings = draft.settings()?;
    if settings
        .effective("ssl_max_protocol_version")
        .is_some_and(|setting| !setting.value.is_empty() && setting.value != b"TLSv1.3")
    {
        set(draft, "ssl_max_protocol_version", "")?;
    }
    set(draft, "ssl_ciphers", CIPHERS)?;
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
            if text == value || boolean(&text).is_some_and(|is| Some(is) == boolean(value)) {
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
