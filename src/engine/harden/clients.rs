//! Client certificates of a CA whose key is elsewhere: what the proof shows of them, and what cannot be proven.

use std::path::PathBuf;

use crate::conninfo::{Conninfo, Keyword};
use crate::engine::incoming::{Against, Given, check};
use crate::engine::{Error, absolute};
use crate::judge::{Purpose, TrustStore};
use crate::pki::{Bundle, Certificate, printable};

use super::kit::Project;
use super::{Hardening, Proposal, Survey};

/// A client's certificate that somebody else issued, and that the proof shows.
#[derive(Debug)]
pub struct Shown {
    certificate: PathBuf,
    key: PathBuf,
    /// The role that it is shown for.
    pub role: String,
}

impl Shown {
    /// Has a connection string show it, for its role.
    pub fn show(&self, conninfo: &mut Conninfo) {
        conninfo
            .set(Keyword::User, self.role.clone())
            .set(Keyword::Sslcert, self.certificate.to_string_lossy())
            .set(Keyword::Sslkey, self.key.to_string_lossy());
    }
}

/// What the proof shows, checked as the server will check it: key, chain, dates, revocation, and the role that it names.
/// `None` where the clients' CA is the project's own, or where no certificate was named.
pub fn shown(
    hardening: &Hardening,
    survey: &Survey,
    project: &Project,
    notes: &mut Vec<String>,
) -> Result<Option<Shown>, Error> {
    let Some(from) = &project.setup.client_ca else {
        return match &hardening.client {
            None => Ok(None),
            Some((certificate, _)) => Err(Error::DoesNotFit {
                what: format!(
                    "{} is to be shown (--client-cert), and the CA that issued it is not named",
                    certificate.display()
                ),
                remedy: "name the certificate of the clients' CA with --client-ca FILE; or leave --client-cert and --client-key \
                         out, and certificates are issued here"
                    .to_owned(),
            }),
        };
    };
    notes.extend(others(survey, &project.gathered.credentials.client_roots));
    let named = hardening.client.clone().or_else(|| {
        let file = |keyword| hardening.conninfo.get(keyword).map(PathBuf::from);
        file(Keyword::Sslcert).zip(file(Keyword::Sslkey))
    });
    let Some((certificate, key)) = named else {
        notes.push(format!(
            "client certificates are those of {}, and are handed out by whoever keeps its key: that one of them lets its holder in \
             can be proven only with one, named by --client-cert and --client-key",
            from.display()
        ));
        return Ok(None);
    };
    let (certificate, key) = (absolute(&certificate), absolute(&key));
    let der: Vec<_> = project
        .gathered
        .credentials
        .client_roots
        .iter()
        .map(|ca| ca.der().to_vec())
        .collect();
    let lists = survey
        .client_lists
        .as_deref()
        .and_then(|bytes| Bundle::from_pem(bytes).ok())
        .map(|bundle| bundle.lists)
        .unwrap_or_default();
    let store = TrustStore::new(&der, &lists).map_err(|error| Error::File {
        what: "the CA of the clients (--client-ca)",
        path: from.clone(),
        why: error.to_string(),
        remedy: "give the CA's certificate in PEM".to_owned(),
    })?;
    let given = Given {
        certificate: Some(certificate.clone()),
        key: Some(key.clone()),
        passphrase: hardening.means.key_passphrase.clone(),
        ..Given::default()
    };
    let against = Against {
        purpose: Purpose::Client,
        keys: Vec::new(),
        names: &[],
        trust: Some((store, from.display().to_string())),
        present: &[],
        now: hardening.means.now,
    };
    let identity = check(&given, against)?.identity;
    let cn = identity.leaf().common_name().unwrap_or_default().to_owned();
    let role = project
        .setup
        .clients
        .iter()
        .find(|client| client.cn == cn)
        .map_or_else(|| cn.clone(), |client| client.role.clone());
    if !survey.logins.contains(&role) {
        return Err(Error::DoesNotFit {
            what: format!(
                "{} is for {}, and there is no role of that name that may log in",
                certificate.display(),
                printable(&cn)
            ),
            remedy: "name a certificate of a role, or say whose it is: --auth cert --client CN=ROLE"
                .to_owned(),
        });
    }
    notes.push(format!(
        "client certificates are those of {}, and are handed out by whoever keeps its key; the proof shows {}, for the role {}",
        from.display(),
        certificate.display(),
        printable(&role)
    ));
    Ok(Some(Shown {
        certificate,
        key,
        role,
    }))
}

/// CAs that the server trusts already: their clients come in as before.
fn others(survey: &Survey, wanted: &[Certificate]) -> Option<String> {
    let present = Certificate::from_pem(survey.client_ca.as_deref()?).ok()?;
    let names: Vec<_> = present
        .iter()
        .filter(|ca| !wanted.contains(ca))
        .map(|ca| printable(ca.subject()))
        .collect();
    (!names.is_empty()).then(|| {
        format!(
            "ssl_ca_file trusts {} too, and goes on to: whoever has a certificate of it comes in as before",
            names.join(", ")
        )
    })
}

/// Without a certificate to show nothing is put in force: that its holders come in would be no more than hoped.
pub fn can_be_proven(proposal: &Proposal) -> Result<(), Error> {
    let is_elsewhere = proposal.stage.is_about_clients() && proposal.project.setup.client_ca.is_some();
    if is_elsewhere && proposal.client.is_none() {
        return Err(Error::DoesNotFit {
            what: "that a client of that CA comes in cannot be proven without a certificate of one"
                .to_owned(),
            remedy: "name one, such as your own: --client-cert FILE --client-key FILE; nothing was written"
                .to_owned(),
        });
    }
    Ok(())
}
