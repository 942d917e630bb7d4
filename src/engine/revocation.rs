//! A revocation list for a running server: checked against the CAs of its clients before it is put in force.
//!
//! The trap: with `ssl_crl_file` PostgreSQL wants a list that is in time of *every* CA on the way from a client to its root.
//! One that is missing or past its next update refuses every client of that CA, and the client is told `certificate expired`
//! or `unknown ca` (<https://www.postgresql.org/docs/current/ssl-tcp.html#SSL-CLIENT-CERTIFICATES>).

use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::apply::Elsewhere;
use crate::conf::Edits;
use crate::conf::settings::Document;
use crate::judge::{ListSigner, RevocationList};
use crate::pki::{Bundle, Certificate, Delivery, printable, revocation_list_pem};

use super::{Error, Existing, files};

const WHAT: &str = "the revocation list (--crl)";
/// So many days before its end it is said.
const SOON: i64 = 7;

/// A configuration file, and what shall be in it.
type Changed = (PathBuf, Vec<u8>);

/// A list that was checked, and where it goes.
pub struct Incoming {
    path: PathBuf,
    pem: String,
    /// The configuration file with the setting in it, where that is new.
    setting: Option<Changed>,
}

/// Reads and checks a list.
pub fn incoming(
    path: &Path,
    live: &Existing,
    now: OffsetDateTime,
    notes: &mut Vec<String>,
) -> Result<Incoming, Error> {
    let fault = |why: String, remedy: &str| Error::File {
        what: WHAT,
        path: path.to_owned(),
        why,
        remedy: remedy.to_owned(),
    };
    let bytes = files::must_read(WHAT, path)?;
    let mut delivery = Delivery::default();
    delivery
        .add(&bytes)
        .map_err(|error| fault(error.to_string(), "give the CA's list, PEM or DER"))?;
    if delivery.lists.is_empty() {
        return Err(fault(
            "there is no revocation list in it".to_owned(),
            "give the CA's list, PEM or DER",
        ));
    }
    let authorities = authorities(live)?;
    let present = present(live)?;
    let mut kept: Vec<(Vec<u8>, RevocationList)> = Vec::new();
    for der in delivery.lists {
        let list = RevocationList::read(&der)
            .map_err(|why| fault(format!("it cannot be read: {why}"), "ask the CA for a sound copy"))?;
        let ca = judge(&list, &authorities, now).map_err(|(why, remedy)| fault(why, remedy))?;
        if let Some(newer) = present
            .iter()
            .find(|(_, old)| old.signer(ca.der()) == ListSigner::Signed && old.last_update > list.last_update)
        {
            return Err(fault(
                format!(
                    "it is older than the one in force (of {}, the other is of {})",
                    day(list.last_update),
                    day(newer.1.last_update)
                ),
                "fetch the CA's newest list: an older one would forget revocations",
            ));
        }
        if let Some(end) = list.next_update {
            let days = (end - now).whole_days();
            notes.push(format!(
                "the list of {} revokes {} and holds until {}: put the next one in force before, or every client of that CA is \
                 refused from then on",
                printable(&list.issuer),
                list.revoked,
                end.date()
            ));
            if days < SOON {
                notes.push(format!(
                    "that is in {days} days: fetch lists by a timer (`pgtls renew --units DIR`)"
                ));
            }
        }
        kept.push((der, list));
    }
    // Lists of other CAs stay, as long as they hold.
    for (der, old) in present {
        let is_replaced = authorities
            .iter()
            .filter(|ca| old.signer(ca.der()) == ListSigner::Signed)
            .any(|ca| {
                kept.iter()
                    .any(|(_, new)| new.signer(ca.der()) == ListSigner::Signed)
            });
        if !is_replaced && judge(&old, &authorities, now).is_ok() {
            kept.push((der, old));
        }
    }
    let missing: Vec<_> = authorities
        .iter()
        .filter(|ca| {
            kept.iter()
                .all(|(_, list)| list.signer(ca.der()) != ListSigner::Signed)
        })
        .map(|ca| format!("\"{}\"", ca.subject()))
        .collect();
    if !missing.is_empty() {
        return Err(fault(
            format!(
                "no list of {} is in it: PostgreSQL would refuse every client of that CA",
                missing.join(", ")
            ),
            "give the lists of all CAs in ssl_ca_file in one file, those of intermediates too (cat them together)",
        ));
    }
    let (path, setting) = destination(live)?;
    Ok(Incoming {
        path,
        pem: kept.iter().map(|(der, _)| revocation_list_pem(der)).collect(),
        setting,
    })
}

/// Whether a list counts, and for which CA.
fn judge<'a>(
    list: &RevocationList,
    authorities: &'a [Certificate],
    now: OffsetDateTime,
) -> Result<&'a Certificate, (String, &'static str)> {
    if list.is_delta() {
        return Err((
            "it is a delta list, which PostgreSQL does not use".to_owned(),
            "give the complete list",
        ));
    }
    let by = |wanted: ListSigner| authorities.iter().find(|ca| list.signer(ca.der()) == wanted);
    let Some(ca) = by(ListSigner::Signed) else {
        let issuer = printable(&list.issuer);
        return Err(if by(ListSigner::BadSignature).is_some() {
            (
                format!(
                    "its signature is not that of \"{issuer}\": it was changed, or that CA has another key"
                ),
                "fetch it again from the CA",
            )
        } else if by(ListSigner::MayNot).is_some() {
            (
                format!(
                    "\"{issuer}\" may not sign lists (its key usage lacks cRLSign), so it does not count"
                ),
                "have the CA certified with cRLSign, or do without a list",
            )
        } else if by(ListSigner::Unknown).is_some() {
            (
                "its signature cannot be judged here".to_owned(),
                "have it signed with RSA or ECDSA",
            )
        } else {
            (
                format!("it is of another issuer (\"{issuer}\") than the CAs of the clients (ssl_ca_file)"),
                "give the list of the CA that issues the client certificates",
            )
        });
    };
    if list.last_update.is_none_or(|first| first > now) {
        return Err((
            format!("it is not valid yet: it begins on {}", day(list.last_update)),
            "wait until then, or look at the clocks of this machine and of the CA",
        ));
    }
    if list.next_update.is_some_and(|end| end <= now) {
        return Err((
            format!(
                "it has ended: the next one was due on {}. With it PostgreSQL would refuse every client, telling them \
                 \"certificate expired\"",
                day(list.next_update)
            ),
            "fetch the CA's present list",
        ));
    }
    Ok(ca)
}

fn day(at: Option<OffsetDateTime>) -> String {
    at.map_or_else(|| "no date".to_owned(), |at| at.date().to_string())
}

/// The CAs of the clients.
fn authorities(live: &Existing) -> Result<Vec<Certificate>, Error> {
    let Some(path) = live.file("ssl_ca_file") else {
        return Err(Error::DoesNotFit {
            what: "the server asks for no client certificates (ssl_ca_file is empty), so a revocation list would do nothing"
                .to_owned(),
            remedy: "a list for clients to check the server by belongs to them: sslcrl".to_owned(),
        });
    };
    let bytes = files::must_read("the CAs of the clients (ssl_ca_file)", &path)?;
    Certificate::from_pem(&bytes).map_err(|error| Error::File {
        what: "the CAs of the clients (ssl_ca_file)",
        path,
        why: error.to_string(),
        remedy: "mend that file first".to_owned(),
    })
}

/// The lists in force.
fn present(live: &Existing) -> Result<Vec<(Vec<u8>, RevocationList)>, Error> {
    let Some(path) = live.file("ssl_crl_file") else {
        return Ok(Vec::new());
    };
    let bytes = files::read("the present lists (ssl_crl_file)", &path)?.unwrap_or_default();
    let lists = Bundle::from_pem(&bytes)
        .map(|bundle| bundle.lists)
        .unwrap_or_default();
    let read = |der: Vec<u8>| RevocationList::read(&der).ok().map(|list| (der, list));
    Ok(lists.into_iter().filter_map(read).collect())
}

/// Where it goes: the file that is set, else a new one beside the CAs and the setting that names it.
fn destination(live: &Existing) -> Result<(PathBuf, Option<Changed>), Error> {
    const NAME: &str = "root.crl";
    if live.setting("ssl_crl_file").is_some() {
        let path = live.file("ssl_crl_file").ok_or_else(|| Error::DoesNotFit {
            what: "the present list (ssl_crl_file) is not within reach here".to_owned(),
            remedy: "run this on the server's machine".to_owned(),
        })?;
        return Ok((path, None));
    }
    let beside = live.file("ssl_ca_file");
    let (Some(beside), Some(named)) = (beside, live.setting("ssl_ca_file")) else {
        return Err(Error::DoesNotFit {
            what: "the CAs of the clients (ssl_ca_file) are not within reach here".to_owned(),
            remedy: "run this on the server's machine".to_owned(),
        });
    };
    let path = beside.with_file_name(NAME);
    let value = Path::new(named).with_file_name(NAME).display().to_string();
    let file = live
        .setting("config_file")
        .and_then(|file| live.here(Path::new(file)))
        .unwrap_or_else(|| live.config_dir.join("postgresql.conf"));
    let bytes = files::must_read("the server's settings", &file)?;
    let document = Document::parse(bytes.to_vec());
    let changed = document
        .set("ssl_crl_file", &value)
        .and_then(|edit| Edits::new(vec![edit]))
        .and_then(|edits| edits.apply(document.bytes()));
    Ok((path, changed.map(|changed| (file, changed))))
}

impl Incoming {
    /// What is to be written.
    pub fn files(&self) -> Vec<Elsewhere> {
        let list = Elsewhere {
            path: self.path.clone(),
            bytes: Zeroizing::new(self.pem.clone().into_bytes()),
            mode: (!self.path.exists()).then_some(0o644),
        };
        let setting = self.setting.as_ref().map(|(path, bytes)| Elsewhere {
            path: path.clone(),
            bytes: Zeroizing::new(bytes.clone()),
            mode: None,
        });
        std::iter::once(list).chain(setting).collect()
    }

    /// Whether the server has the setting now.
    pub fn is_in_force(&self, live: &Existing) -> Result<(), String> {
        if live.file("ssl_crl_file").as_deref() == Some(&self.path) {
            return Ok(());
        }
        Err(match live.source("ssl_crl_file") {
            Some("command line") => {
                "ssl_crl_file stands on its command line, which wins over every file".to_owned()
            }
            _ => "ssl_crl_file is set elsewhere too (postgresql.auto.conf: ALTER SYSTEM RESET ssl_crl_file)"
                .to_owned(),
        })
    }
}
