//! The revocation lists of a server that asks for client certificates.
//!
//! As soon as PostgreSQL has one list, it wants one that is in time of every CA on the way from a client to its root, and
//! refuses everybody else of that CA (<https://www.postgresql.org/docs/current/ssl-tcp.html#SSL-CLIENT-CERTIFICATES>). A
//! server with the lists of a company's CA would therefore let in nobody with a certificate of the project's.

use zeroize::Zeroizing;

use crate::engine::Error;
use crate::judge::{ListSigner, RevocationList};
use crate::pki::{Bundle, Certificate, printable, revocation_list_pem};

use super::Survey;
use super::certificates::NewFile;
use super::kit::{Project, as_named, free_name};

/// What has to be added.
#[derive(Default)]
pub struct Lists {
    /// The file with the project's list in it.
    pub file: Option<NewFile>,
    /// `ssl_crl_file`, where none is set and the lists are in a directory.
    pub setting: Option<String>,
    /// What should be known.
    pub notes: Vec<String>,
}

/// Works it out; `None` where the server asks for no lists.
pub fn needed(survey: &Survey, project: &Project) -> Result<Option<Lists>, Error> {
    let set = |name| survey.setting(name).filter(|value| !value.is_empty());
    let (file, directory) = (set("ssl_crl_file"), set("ssl_crl_dir"));
    let Some(named) = file.or(directory) else {
        return Ok(None);
    };
    let bytes = survey.client_lists.clone().unwrap_or_default();
    let present: Vec<RevocationList> = Bundle::from_pem(&bytes)
        .map(|bundle| bundle.lists)
        .unwrap_or_default()
        .iter()
        .filter_map(|der| RevocationList::read(der).ok())
        .collect();
    let now = survey.target.now;
    let mut lists = Lists::default();
    for old in &present {
        if let Some(end) = old.next_update.filter(|end| *end < now) {
            lists.notes.push(format!(
                "the list of {} in {named} ended on {}: PostgreSQL refuses every client of that CA since (the client is told \
                 `certificate expired`); put its next one in force with `pgtls renew CONNINFO --config-dir DIR --crl FILE`",
                printable(&old.issuer),
                end.date()
            ));
        }
    }
    let has = |ca: &Certificate| {
        present.iter().any(|list| {
            list.signer(ca.der()) == ListSigner::Signed && list.next_update.is_none_or(|end| end >= now)
        })
    };
    let gathered = &project.gathered;
    let mut ours: Vec<&Certificate> = gathered.credentials.client_roots.iter().collect();
    // The project's own issues to no client where theirs is somebody else's.
    let issuer = gathered
        .issuer
        .as_ref()
        .filter(|_| project.setup.client_ca.is_none());
    if let Some(issuer) = issuer.map(crate::pki::Authority::certificate)
        && !ours.contains(&issuer)
    {
        ours.push(issuer);
    }
    let mut made = Vec::new();
    for ca in ours.into_iter().filter(|ca| !has(ca)) {
        let list = match issuer.filter(|issuer| issuer.certificate() == ca) {
            Some(issuer) => issuer.empty_list(now)?,
            None => None,
        };
        let Some(list) = list else {
            return Err(Error::NotInForce {
                what: format!(
                    "{named} holds no list in time of {}: PostgreSQL would refuse every client with a certificate of it",
                    printable(ca.subject())
                ),
                remedy: "have that CA make its list, put it in force beside the others with `pgtls renew CONNINFO --config-dir DIR \
                         --crl FILE`, and run this again; nothing was written"
                    .to_owned(),
            });
        };
        lists.notes.push(format!(
            "{named} holds no list of {}, without which PostgreSQL would refuse every client of it: one that revokes nothing is \
             added, until {}",
            printable(ca.subject()),
            ca.not_after().date()
        ));
        made.push((ca, list));
    }
    if made.is_empty() {
        return Ok(Some(lists));
    }
    let mut content = bytes;
    if !content.is_empty() && !content.ends_with(b"\n") {
        content.push(b'\n');
    }
    let mut adds = Vec::new();
    for (ca, list) in made {
        content.extend_from_slice(revocation_list_pem(&list).as_bytes());
        adds.push(format!(
            "revocation list of {}, nothing revoked, until {}",
            printable(ca.subject()),
            ca.not_after().date()
        ));
    }
    let path = if let Some(file) = file {
        survey.server.data.join(file)
    } else {
        let (path, named) = as_named(survey, &free_name(survey, "root.crl", &content));
        lists.setting = Some(named);
        path
    };
    lists.file = Some(NewFile {
        path,
        content: Zeroizing::new(content),
        mode: 0o644,
        adds: Some(adds.join("; ")),
    });
    Ok(Some(lists))
}
