//! Keys, certificates and passwords: those that are there and still fit are kept, the rest is made.

mod ca;

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::judge::{Purpose, TrustStore, judge_chain, judge_name};
use crate::pki::{Algorithm, Authority, Certificate, HostName, Identity, Reason};
use crate::plan::{Credentials, Kit, KitCredentials, Layout};
use crate::setup::{CertificateSource, Mode, Setup};

use self::ca::Ca;
use super::request::client_files;
use super::{Error, Stage, Succession, files, formats};

/// What may not be saved: it comes by file, environment or prompt, each time.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// Passphrase of an encrypted key.
    pub key_passphrase: Option<SecretString>,
    /// Password of the roles, where the person gave one.
    pub password: Option<SecretString>,
}

/// What is to be made anew though it still fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Renew {
    /// Nothing.
    #[default]
    Nothing,
    /// Server and client certificates, and their keys.
    Leaves,
    /// The CA too.
    Everything,
    /// One stage of a new CA in the place of the old one.
    Stage(Stage),
}

/// Credentials, and what was done to have them.
#[derive(Debug)]
pub struct Gathered {
    /// For the plan.
    pub credentials: Credentials,
    /// Whoever issues client certificates, if its key is at hand.
    pub issuer: Option<Authority>,
    /// Whether the project's CA is kept elsewhere: nothing had to be issued, and its files are nobody's to remove.
    pub ca_is_away: bool,
    /// What was made, and is kept only where the plan is written; sentences.
    pub made: Vec<String>,
    /// What was kept or is worth knowing; sentences.
    pub notes: Vec<String>,
}

impl Gathered {
    /// All of it, for whoever writes the plan.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        [&self.made[..], &self.notes].concat()
    }
}

/// Reads what is in the project and makes what is missing or does not fit, for these kits: on a server that is there, roles
/// have their own passwords.
pub(super) fn gather_for(
    setup: &Setup,
    dir: &Path,
    secrets: &Secrets,
    renew: Renew,
    now: OffsetDateTime,
    kits: Vec<Kit>,
) -> Result<Gathered, Error> {
    let mut gathering = Gathering {
        setup,
        dir,
        secrets,
        renew,
        now,
        made: Vec::new(),
        notes: Vec::new(),
        passwords: Vec::new(),
    };
    let given = match &setup.certificates {
        CertificateSource::Given {
            certificate,
            key,
            root,
        } => Some(gathering.given(certificate, key, root)?),
        _ => None,
    };
    // With a server certificate that was given, a CA of ours is needed for clients only.
    let ca = match given {
        Some(_) if setup.mode == Mode::OneWay || setup.client_ca.is_some() => None,
        _ => Some(gathering.ca()?),
    };
    let (ca, succession) = match ca {
        Some(ca) => {
            let (ca, succession) = gathering.succeed(ca)?;
            (Some(ca), succession)
        }
        None => (None, Succession::default()),
    };
    let clients = kits
        .into_iter()
        .map(|kit| gathering.client(kit, ca.as_ref()))
        .collect::<Result<_, _>>()?;
    let (server, server_roots) = match (given, &ca) {
        (Some(given), _) => given,
        (None, Some(ca)) => (gathering.server(ca)?, succession.roots(ca.root())),
        (None, None) => unreachable!("without a given certificate there is always a CA"),
    };
    let client_roots = match (&ca, &setup.client_ca, setup.mode) {
        (_, Some(path), Mode::Mtls) => client_ca(path, now)?,
        (Some(ca), None, Mode::Mtls) => succession.roots(ca.root()),
        _ => Vec::new(),
    };
    let is_the_persons = matches!(setup.certificates, CertificateSource::Ca { .. });
    let ca_is_away = matches!(ca, Some(Ca::Away(_)));
    if ca_is_away {
        gathering
            .notes
            .push("the CA's key is not here, and was not needed: every certificate still fits".to_owned());
    }
    let authority = match ca {
        Some(Ca::Here(authority)) => Some(*authority),
        _ => None,
    };
    Ok(Gathered {
        made: gathering.made,
        notes: gathering.notes,
        ca_is_away,
        credentials: Credentials {
            authority: authority.clone().filter(|_| !is_the_persons),
            next: succession.next,
            old: succession.old,
            server,
            server_roots,
            client_roots,
            clients,
        },
        issuer: authority,
    })
}

/// The CA of the clients, whose key is elsewhere: what PostgreSQL will judge them by, so it has to lead to a root
/// (<https://www.postgresql.org/docs/current/ssl-tcp.html#SSL-CLIENT-CERTIFICATES>).
fn client_ca(path: &Path, now: OffsetDateTime) -> Result<Vec<Certificate>, Error> {
    const WHAT: &str = "the CA of the clients (--client-ca)";
    let wrong = |why: String, remedy: &str| Error::File {
        what: WHAT,
        path: path.to_path_buf(),
        why,
        remedy: remedy.to_owned(),
    };
    let bytes = files::must_read(WHAT, path)?;
    let all = Certificate::from_pem(&bytes)
        .map_err(|error| wrong(error.to_string(), "give the CA's certificate in PEM"))?;
    if let Some(other) = all.iter().find(|one| !one.is_ca()) {
        return Err(wrong(
            format!("{} is no CA", crate::pki::printable(other.subject())),
            "give the certificate of the CA, not one that it issued",
        ));
    }
    if let Some(ended) = all.iter().find(|one| one.not_after() < now) {
        return Err(wrong(
            format!(
                "{} ended on {}: every client of it would be refused",
                crate::pki::printable(ended.subject()),
                ended.not_after().date()
            ),
            "give the one that the CA issues by now",
        ));
    }
    if !all.iter().any(|one| one.is_signed_by(one)) {
        return Err(wrong(
            "there is no root in it, and PostgreSQL trusts nothing less".to_owned(),
            "add the root's certificate to the file, after the intermediate",
        ));
    }
    Ok(all)
}

struct Gathering<'a> {
    setup: &'a Setup,
    dir: &'a Path,
    secrets: &'a Secrets,
    renew: Renew,
    now: OffsetDateTime,
    made: Vec<String>,
    notes: Vec<String>,
    /// By role: kits of one role share its password.
    passwords: Vec<(String, SecretString)>,
}

impl Gathering<'_> {
    fn here(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dir.join(path)
    }

    fn passphrase(&self) -> Option<&SecretString> {
        self.secrets.key_passphrase.as_ref()
    }

    /// The CA that issues, and those that are trusted beside it.
    fn succeed(&mut self, present: Ca) -> Result<(Ca, Succession), Error> {
        if self.renew == Renew::Everything || matches!(self.setup.certificates, CertificateSource::Ca { .. })
        {
            if let Renew::Stage(stage) = self.renew {
                Succession::default().admits(stage, self.setup, self.dir)?;
            }
            return Ok((present, Succession::default()));
        }
        let mut succession = Succession::read(self.dir, self.passphrase(), self.now)?;
        let Renew::Stage(stage) = self.renew else {
            return Ok((present, succession));
        };
        succession.admits(stage, self.setup, self.dir)?;
        match (stage, succession.next.take()) {
            (Stage::Trust, _) => succession.next = Some(self.new_authority()?),
            (Stage::Issue, Some(next)) => {
                succession.old = Some(present.certificate().clone());
                return Ok((Ca::Here(Box::new(next)), succession));
            }
            (Stage::Withdraw, _) | (Stage::Issue, None) => {
                if let Some(old) = succession.old.take() {
                    self.notes.push(format!("withdrew the CA {}", old.subject()));
                }
            }
        }
        Ok((present, succession))
    }

    fn new_authority(&mut self) -> Result<Authority, Error> {
        let algorithm = match self.setup.algorithm {
            Algorithm::Ed25519 => Algorithm::P256,
            other => other,
        };
        let project = self
            .dir
            .file_name()
            .map_or_else(|| "pgtls".into(), |name| name.to_string_lossy());
        let name: String = project
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || " ._-".contains(*c))
            .collect();
        let name = if name.trim().is_empty() {
            "pgtls"
        } else {
            name.trim()
        };
        let authority = Authority::create(&format!("{name} CA"), algorithm, self.setup.ca_days, self.now)?;
        self.made
            .push(format!("made the CA {}", authority.certificate().subject()));
        Ok(authority)
    }

    /// What is at these paths, if it is a pair and `fits`; else why not.
    fn kept(
        &self,
        certificate: &Path,
        key: &Path,
        fits: impl FnOnce(&Identity) -> Result<(), Reason>,
    ) -> Result<Identity, Option<String>> {
        if matches!(
            self.renew,
            Renew::Leaves | Renew::Everything | Renew::Stage(Stage::Issue)
        ) {
            return Err(None);
        }
        let read = |path: &Path| {
            files::read("the certificate or key", path).map_err(|error| Some(error.to_string()))
        };
        let (Some(certificate), Some(key)) = (read(certificate)?, read(key)?) else {
            return Err(None);
        };
        let identity = Identity::load(&certificate, &key, None).map_err(|error| Some(error.to_string()))?;
        fits(&identity).map_err(|reason| Some(reason.to_string()))?;
        Ok(identity)
    }

    fn server(&mut self, ca: &Ca) -> Result<Identity, Error> {
        let Setup {
            hosts,
            algorithm,
            days,
            ..
        } = self.setup;
        let fits = |identity: &Identity| {
            identity.satisfies_server(hosts, *algorithm, *days, ca.certificate(), self.now)
        };
        match self.kept(
            &self.here(Layout::SERVER_CERT),
            &self.here(Layout::SERVER_KEY),
            fits,
        ) {
            Ok(identity) => Ok(identity),
            Err(why) => {
                let issuer = self.issuer(ca, "the server", why.as_deref())?;
                let identity = issuer.issue_server(hosts, *algorithm, *days, self.now)?;
                self.issued("the server", why.as_deref());
                Ok(identity)
            }
        }
    }

    fn issued(&mut self, whom: &str, why: Option<&str>) {
        self.made.push(match why {
            Some(why) => format!("issued a new certificate for {whom}: {why}"),
            None => format!("issued a certificate for {whom}"),
        });
    }

    fn client(&mut self, kit: Kit, ca: Option<&Ca>) -> Result<KitCredentials, Error> {
        let identity = match (&kit.cn, ca) {
            (Some(cn), Some(ca)) => Some(self.client_certificate(&kit.name, cn, ca)?),
            _ => None,
        };
        let password = if kit.wants_password {
            Some(self.password(&kit)?)
        } else {
            None
        };
        let stores = formats::found(self.dir, &kit.name)?;
        Ok(KitCredentials {
            kit,
            identity,
            password,
            stores,
        })
    }

    fn client_certificate(&mut self, kit: &str, cn: &str, ca: &Ca) -> Result<Identity, Error> {
        if let Some(filed) = self.filed(kit, cn)? {
            return Ok(filed);
        }
        let Setup { algorithm, days, .. } = self.setup;
        let file = |name| self.here(Layout::kit_file(kit, name));
        let fits = |identity: &Identity| {
            identity.satisfies_client(cn, *algorithm, *days, ca.certificate(), self.now)
        };
        match self.kept(&file("client.crt"), &file("client.key"), fits) {
            Ok(identity) => Ok(identity),
            Err(why) => {
                let whom = format!("client {}", crate::pki::printable(cn));
                let issuer = self.issuer(ca, &whom, why.as_deref())?;
                let identity = issuer.issue_client(cn, *algorithm, *days, self.now)?;
                self.issued(&whom, why.as_deref());
                Ok(identity)
            }
        }
    }

    /// The certificate that another CA answered with and that was filed for this client: ours to keep, not to replace.
    fn filed(&mut self, kit: &str, cn: &str) -> Result<Option<Identity>, Error> {
        // Of a name that does not do as one of a file nothing was filed.
        if client_files(cn).is_err() {
            return Ok(None);
        }
        let path = self.here(Layout::answer(cn));
        let Some(answer) = files::read("the certificate that a CA answered with", &path)? else {
            return Ok(None);
        };
        let leaf = Certificate::from_pem(&answer)
            .ok()
            .and_then(|chain| chain.into_iter().next());
        let file = |name| self.here(Layout::kit_file(kit, name));
        let pair = (
            files::read("the client's certificate", &file("client.crt"))?,
            files::read("the client's key", &file("client.key"))?,
        );
        let (Some(certificate), Some(key)) = pair else {
            return Ok(None);
        };
        let Ok(identity) = Identity::load(&certificate, &key, None) else {
            return Ok(None);
        };
        if Some(identity.leaf()) != leaf.as_ref() {
            return Ok(None);
        }
        let client = crate::pki::printable(cn);
        let (issuer, end) = (
            crate::pki::printable(identity.leaf().issuer()),
            identity.leaf().not_after(),
        );
        self.notes.push(if end < self.now {
            format!(
                "the certificate of client {client}, issued by {issuer}, ended on {}: ask for the next one with `pgtls csr \
                 --client {client}`",
                end.date()
            )
        } else {
            format!("the certificate of client {client} was issued by {issuer}, and stays")
        });
        Ok(Some(identity))
    }

    /// The role's password: the one given now, else the one in a kit of that role, else a new one.
    fn password(&mut self, kit: &Kit) -> Result<SecretString, Error> {
        if let Some(password) = &self.secrets.password {
            return Ok(password.clone());
        }
        if let Some((_, password)) = self.passwords.iter().find(|(role, _)| *role == kit.role) {
            return Ok(password.clone());
        }
        let path = self.here(Layout::kit_file(&kit.name, "passfile"));
        let saved = files::read("the password file", &path)?.and_then(|file| last_field(&file));
        let password = match saved {
            Some(password) => password,
            None => random_password()?,
        };
        self.passwords.push((kit.role.clone(), password.clone()));
        Ok(password)
    }

    /// The certificate that the person was given: checked as clients will check it before anything uses it.
    fn given(
        &self,
        certificate: &Path,
        key: &Path,
        root: &Path,
    ) -> Result<(Identity, Vec<Certificate>), Error> {
        let wrong = |what, path: &Path, why: String, remedy: &str| Error::File {
            what,
            path: path.to_path_buf(),
            why,
            remedy: remedy.to_owned(),
        };
        let pem = files::must_read("the server certificate (--server-cert)", certificate)?;
        let key_pem = files::must_read("the server key (--server-key)", key)?;
        let identity = Identity::load(&pem, &key_pem, self.passphrase()).map_err(|error| {
            wrong(
                "the server certificate and key (--server-cert, --server-key)",
                certificate,
                error.to_string(),
                "give the certificate, its intermediates after it, and the key that belongs to it",
            )
        })?;
        let root_pem = files::must_read("the root (--root)", root)?;
        let roots = Certificate::from_pem(&root_pem).map_err(|error| {
            wrong(
                "the root (--root)",
                root,
                error.to_string(),
                "give the CA's certificate in PEM",
            )
        })?;
        let trust: Vec<_> = roots.iter().map(|root| root.der().to_vec()).collect();
        let trust = TrustStore::new(&trust, &[]).map_err(|error| {
            wrong(
                "the root (--root)",
                root,
                error.to_string(),
                "give the CA's certificate in PEM",
            )
        })?;
        let presented: Vec<_> = identity.chain().iter().map(|c| c.der().to_vec().into()).collect();
        judge_chain(&presented, &trust, Purpose::Server, self.now).map_err(|refusal| {
            wrong(
                "the server certificate (--server-cert)",
                certificate,
                refusal.to_string(),
                "clients would refuse it; ask whoever issued it for one that leads to --root",
            )
        })?;
        for host in self
            .setup
            .hosts
            .iter()
            .map(HostName::to_string)
            .filter(|host| !host.starts_with('*'))
        {
            judge_name(identity.leaf().der(), &host).map_err(|refusal| {
                wrong(
                    "the server certificate (--server-cert)",
                    certificate,
                    refusal.to_string(),
                    "name with --host only names that it carries, or have it reissued with the others",
                )
            })?;
        }
        Ok((identity, roots))
    }
}

/// The password in the first line of a password file of ours
/// (<https://www.postgresql.org/docs/current/libpq-pgpass.html>: fields parted by `:`, escaped by a backslash).
pub(super) fn last_field(file: &[u8]) -> Option<SecretString> {
    let line = file.split(|byte| *byte == b'\n').next()?;
    let mut field = Zeroizing::new(Vec::with_capacity(line.len()));
    let mut bytes = line.iter();
    let mut colons = 0;
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => field.extend(bytes.next()),
            b':' => {
                colons += 1;
                field.clear();
            }
            byte => field.push(*byte),
        }
    }
    let text = std::str::from_utf8(&field).ok()?;
    (colons == 4 && !text.is_empty()).then(|| SecretString::from(text))
}

/// Thirty letters and digits: 178 bits, and nothing that a shell, a URI or an env file would take for its own.
pub(super) fn random_password() -> Result<SecretString, Error> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut password = Zeroizing::new(String::with_capacity(30));
    while password.len() < 30 {
        let mut random = Zeroizing::new([0_u8; 64]);
        aws_lc_rs::rand::fill(&mut *random).map_err(|_| Error::Database {
            doing: "making a password".to_owned(),
            why: "the system gave no random bytes".to_owned(),
        })?;
        // Only bytes below a multiple of 62 count, so that every letter is equally likely.
        let fair = random
            .iter()
            .filter(|byte| **byte < 248)
            .map(|byte| LETTERS[usize::from(*byte) % LETTERS.len()]);
        let missing = 30 - password.len();
        password.extend(fair.take(missing).map(char::from));
    }
    Ok(SecretString::from(password.as_str()))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_password_is_read_back_from_its_passfile() {
        let read = |line: &[u8]| last_field(line).map(|p| p.expose_secret().to_owned());
        assert_eq!(
            read(b"localhost:5432:app:app:s3cret\n").as_deref(),
            Some("s3cret")
        );
        assert_eq!(
            read(b"\\:\\:1:5432:app:app:a\\:b\\\\c\nnext").as_deref(),
            Some("a:b\\c")
        );
        assert_eq!(read(b"localhost:5432:app:s3cret\n"), None);
        assert_eq!(read(b"localhost:5432:app:app:\n"), None);
    }

    #[test]
    fn passwords_are_long_plain_and_never_the_same() {
        let one = random_password().unwrap();
        let two = random_password().unwrap();
        assert_eq!(one.expose_secret().len(), 30);
        assert!(
            one.expose_secret()
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric())
        );
        assert_ne!(one.expose_secret(), two.expose_secret());
    }
}
