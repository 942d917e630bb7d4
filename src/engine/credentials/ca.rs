//! The project's CA: one that was made here is never remade unasked, and its key may be kept elsewhere.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::apply::Project;
use crate::engine::{Error, files};
use crate::pki::{Authority, AuthorityError, Certificate};
use crate::plan::Layout;
use crate::setup::CertificateSource;

use super::{Gathering, Renew};

/// The project's CA.
pub(super) enum Ca {
    /// With its key.
    Here(Box<Authority>),
    /// Its key is kept elsewhere: what it issued goes on, and nothing more can be issued.
    Away(Certificate),
}

impl Ca {
    pub(super) fn certificate(&self) -> &Certificate {
        match self {
            Self::Here(authority) => authority.certificate(),
            Self::Away(certificate) => certificate,
        }
    }

    pub(super) fn root(&self) -> &Certificate {
        match self {
            Self::Here(authority) => authority.root(),
            Self::Away(certificate) => certificate,
        }
    }
}

/// The last remedy for a CA that is lost.
const A_NEW_CA: &str = "`pgtls renew --ca` makes a new CA, and every client then needs its root.crt";

impl Gathering<'_> {
    /// The CA: the person's, the one that is here, or a new one; one that was made here is never remade unasked.
    pub(super) fn ca(&mut self) -> Result<Ca, Error> {
        let here = |authority| Ca::Here(Box::new(authority));
        if let CertificateSource::Ca { certificate, key } = &self.setup.certificates {
            let certificate = files::must_read("the CA certificate (--ca-cert)", certificate)?;
            let key = files::must_read("the CA key (--ca-key)", key)?;
            return Ok(here(Authority::load(
                &certificate,
                &key,
                self.passphrase(),
                self.now,
            )?));
        }
        if self.renew == Renew::Everything {
            return self.new_authority().map(here);
        }
        let (certificate_path, key_path) = (self.here(Layout::CA_CERT), self.here(Layout::CA_KEY));
        let certificate = match files::read("the CA certificate", &certificate_path)? {
            Some(certificate) => Some(certificate),
            None => self.copy_of_ca()?,
        };
        let key = files::read("the CA key", &key_path)?;
        match (certificate, key) {
            (Some(certificate), Some(key)) => {
                Authority::load(&certificate, &key, self.passphrase(), self.now)
                    .map(here)
                    .map_err(|error| match error {
                        AuthorityError::Key(why) => Error::File {
                            what: "the CA key",
                            path: key_path,
                            why: why.to_string(),
                            remedy: format!("bring it back from where you keep a copy; {A_NEW_CA}"),
                        },
                        other => other.into(),
                    })
            }
            (Some(certificate), None) => {
                let all = Certificate::from_pem(&certificate).map_err(AuthorityError::Certificate)?;
                // `from_pem` gives at least one.
                all.into_iter()
                    .next()
                    .map_or_else(|| self.new_authority().map(here), |one| Ok(Ca::Away(one)))
            }
            (None, Some(_)) => Err(Error::Half {
                found: key_path,
                missing: certificate_path,
                remedy: format!("bring the CA's certificate back; {A_NEW_CA}"),
            }),
            (None, None) if self.had_ca()? => Err(Error::NoAuthority {
                reason: format!("{} is gone, and so are its copies", certificate_path.display()),
                remedy: format!(
                    "bring {} back from where you keep it; {A_NEW_CA}",
                    self.here("ca").display()
                ),
            }),
            (None, None) => self.new_authority().map(here),
        }
    }

    /// Whether a CA was made here, by the books.
    fn had_ca(&self) -> Result<bool, Error> {
        let ours = Project::look(self.dir)?.ours()?;
        Ok(ours.contains(Path::new(Layout::CA_CERT)))
    }

    /// The certificate of the CA that was made here, from where a client or the server has it.
    fn copy_of_ca(&self) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let project = Project::look(self.dir)?;
        let mut places = vec![PathBuf::from(Layout::SERVER_ROOT)];
        places.extend(
            project
                .ours()?
                .into_iter()
                .filter(|path| path.ends_with("root.crt") && path.starts_with("clients")),
        );
        for place in places {
            let Some(roots) = files::read("a copy of the CA's certificate", &self.here(&place))? else {
                continue;
            };
            for root in Certificate::from_pem(&roots).unwrap_or_default() {
                let pem = root.to_pem().into_bytes();
                if project.wrote(Path::new(Layout::CA_CERT), &pem)? {
                    return Ok(Some(Zeroizing::new(pem)));
                }
            }
        }
        Ok(None)
    }

    /// Whoever is to issue something.
    pub(super) fn issuer<'ca>(
        &self,
        ca: &'ca Ca,
        whom: &str,
        why: Option<&str>,
    ) -> Result<&'ca Authority, Error> {
        match ca {
            Ca::Here(authority) => Ok(authority),
            Ca::Away(certificate) => Err(Error::NoAuthority {
                reason: format!(
                    "a certificate for {whom} has to be issued{}",
                    why.map(|why| format!(" ({why})")).unwrap_or_default()
                ),
                remedy: format!(
                    "bring {} and {} of {} back from where you keep them (the key with mode 0600); {A_NEW_CA}",
                    self.here(Layout::CA_CERT).display(),
                    self.here(Layout::CA_KEY).display(),
                    crate::pki::printable(certificate.subject())
                ),
            }),
        }
    }
}
