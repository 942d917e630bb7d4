//! What clients could do before a change and cannot afterwards. It is asked about: who is locked out never finds the reason in
//! the words "files written".

use std::path::{Component, Path};

use crate::apply::{Action, Change};
use crate::pki::{Certificate, printable};
use crate::plan::Layout;

use super::{Error, files};

/// The losses, each a sentence; none on the first write. `dir` holds what is there, `changes` and `next` (the server's
/// certificate) are what comes.
pub(super) fn losses(dir: &Path, changes: &[Change], next: &Certificate) -> Result<Vec<String>, Error> {
    let mut losses: Vec<String> = changes
        .iter()
        .filter_map(|change| lost_client(&change.path, change.action))
        .collect();
    losses.extend(lost_names(dir, next)?);
    Ok(losses)
}

/// A kit that goes as a whole: how it connects is in it.
fn lost_client(path: &Path, action: Action) -> Option<String> {
    let kit = path.strip_prefix("clients").ok()?;
    let mut parts = kit.components();
    let (Component::Normal(name), Component::Normal(file), None) =
        (parts.next()?, parts.next()?, parts.next())
    else {
        return None;
    };
    (action == Action::Removed && file == "conninfo").then(|| {
        let name = printable(&name.to_string_lossy());
        format!("client {name} can log in no longer: clients/{name} goes, with its key or password")
    })
}

/// Names that the server's certificate has and the next one has not.
fn lost_names(dir: &Path, next: &Certificate) -> Result<Option<String>, Error> {
    let path = dir.join(Layout::SERVER_CERT);
    let present = files::read("the server's certificate", &path)?
        .and_then(|pem| Certificate::from_pem(&pem).ok()?.into_iter().next());
    let stay = names(next);
    let lost: Vec<String> = present
        .iter()
        .flat_map(names)
        .filter(|name| !stay.contains(name))
        .map(|name| printable(&name))
        .collect();
    Ok((!lost.is_empty()).then(|| {
        format!(
            "whoever dials the server as {} refuses it from then on: its certificate loses that name",
            lost.join(" or ")
        )
    }))
}

fn names(certificate: &Certificate) -> Vec<String> {
    let addresses = certificate.ip_addresses().iter().map(ToString::to_string);
    certificate.dns_names().iter().cloned().chain(addresses).collect()
}

/// What is said where nobody agreed.
pub(super) fn not_agreed(losses: &[String]) -> Error {
    if losses.is_empty() {
        return Error::Declined {
            what: "nothing was written".to_owned(),
        };
    }
    Error::NeedsConsent {
        what: format!("nothing was written: {}", losses.join("; ")),
        remedy: "say --yes if that is meant; a list that is given takes the place of the one before, so name those that stay \
                 as well (--host, --client)"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_kit_is_a_client() {
        let says = |path: &str, action| lost_client(Path::new(path), action);
        let lost = says("clients/app/conninfo", Action::Removed);
        assert!(lost.is_some_and(|says| says.contains("client app can log in no longer")));
        assert_eq!(says("clients/app/conninfo", Action::Changed), None);
        assert_eq!(says("clients/app/client.p12", Action::Removed), None);
        assert_eq!(says("clients/app/more/conninfo", Action::Removed), None);
        assert_eq!(says("elsewhere/app/conninfo", Action::Removed), None);
    }
}
