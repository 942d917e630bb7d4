//! When what lies in a project directory ends: its CAs, certificates and revocation lists, whoever uses them.

use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use crate::judge::RevocationList;
use crate::pki::{Bundle, Certificate, printable};
use crate::plan::Layout;
use crate::verify::{Dated, Part};

use super::files;

/// Everything that ends, each once. What cannot be read is left out: to say so is for the probes.
#[must_use]
pub fn kit_dates(dir: &Path, now: OffsetDateTime) -> Vec<Dated> {
    let mut all: Vec<Dated> = Vec::new();
    for (part, path) in places(dir) {
        let Ok(Some(bytes)) = files::read("the file", &path) else {
            continue;
        };
        let mut add = |part, subject: &str, not_after: OffsetDateTime| {
            let subject = printable(subject);
            if all
                .iter()
                .all(|one| (&one.subject, one.not_after) != (&subject, not_after))
            {
                all.push(Dated {
                    part,
                    subject,
                    not_after,
                    days_left: (not_after - now).whole_seconds().div_euclid(86_400),
                });
            }
        };
        for certificate in Certificate::from_pem(&bytes).unwrap_or_default() {
            let part = if certificate.is_ca() { Part::Issuer } else { part };
            add(part, certificate.subject(), certificate.not_after());
        }
        for der in Bundle::from_pem(&bytes)
            .map(|bundle| bundle.lists)
            .unwrap_or_default()
        {
            if let Ok(list) = RevocationList::read(&der)
                && let Some(end) = list.next_update
            {
                add(Part::List, &list.issuer, end);
            }
        }
    }
    all
}

/// The files of a project in which something may end.
fn places(dir: &Path) -> Vec<(Part, PathBuf)> {
    let fixed = [
        (Part::Server, Layout::SERVER_CERT),
        (Part::Issuer, Layout::SERVER_ROOT),
        (Part::Issuer, Layout::CA_CERT),
        (Part::Issuer, Layout::NEXT_CERT),
        (Part::Issuer, Layout::OLD_CERT),
    ];
    let mut places: Vec<_> = fixed.map(|(part, file)| (part, dir.join(file))).to_vec();
    let mut directories = vec![dir.join(Layout::SERVER)];
    let kits = std::fs::read_dir(dir.join("clients"))
        .into_iter()
        .flatten()
        .flatten();
    for kit in kits.map(|kit| kit.path()) {
        places.extend([
            (Part::Client, kit.join("client.crt")),
            (Part::Issuer, kit.join("root.crt")),
        ]);
        directories.push(kit);
    }
    for directory in directories {
        let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let lists = files
            .map(|file| file.path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "crl"));
        places.extend(lists.map(|path| (Part::List, path)));
    }
    places
}
