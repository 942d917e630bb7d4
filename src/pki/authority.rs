//! The CA: made or loaded, and what it issues.

use secrecy::SecretString;
use time::{Duration, OffsetDateTime, Time, UtcOffset};

use super::dn::{self, MOST_COMMON_NAME};
use super::key::Signer;
use super::template::{Role, Template, key_id, random};
use super::text::excerpt;
use super::{Algorithm, AuthorityError, Certificate, HostName, Identity, KeyKind, PrivateKey, chain};

/// How far back validity starts, for clients whose clock is behind.
const CLOCK_SKEW: Duration = Duration::hours(1);

/// A CA with its key: issues server and client certificates.
#[derive(Debug, Clone)]
pub struct Authority {
    certificate: Certificate,
    /// From the CA's issuer up to the root; empty for a root.
    above: Vec<Certificate>,
    key: PrivateKey,
}

impl Authority {
    /// Makes a self-signed root. Its CN is `common_name` (cut to fit) and eight hex digits, so that two CAs made
    /// with the same name are never taken for one another; pathlen 0: it signs leaves only.
    pub fn create(
        common_name: &str,
        algorithm: Algorithm,
        days: u32,
        now: OffsetDateTime,
    ) -> Result<Self, AuthorityError> {
        if algorithm == Algorithm::Ed25519 {
            return Err(AuthorityError::Ed25519);
        }
        let id = u32::from_be_bytes(random()?);
        let base: String = common_name.chars().take(MOST_COMMON_NAME - 9).collect();
        let common_name = format!("{} {id:08x}", base.trim());
        check_common_name(&common_name)?;
        let (not_before, not_after) = validity(days, now)?;
        let key = PrivateKey::generate(algorithm)?;
        let subject = dn::common_name_der(Some(&common_name));
        let template = Template {
            role: Role::Authority,
            issuer: &subject.clone(),
            subject,
            issuer_key_id: &key_id(key.public_key()),
            not_before,
            not_after,
            key: &key,
        };
        let certificate = template.sign(&key, &key.signer()?)?;
        Ok(Self {
            certificate,
            above: Vec::new(),
            key,
        })
    }

    /// Loads a CA from PEM. The CA's certificate stands first; for an intermediate the certificates up to and
    /// including the root follow, in any order. What pgtls itself once made loads as well.
    pub fn load(
        certificate_pem: &[u8],
        key_pem: &[u8],
        passphrase: Option<&SecretString>,
        now: OffsetDateTime,
    ) -> Result<Self, AuthorityError> {
        let mut certificates = Certificate::from_pem(certificate_pem).map_err(AuthorityError::Certificate)?;
        let others = certificates.split_off(1);
        // `from_pem` gives at least one.
        let certificate = certificates.remove(0);
        check_authority(&certificate, now)?;
        let key = PrivateKey::from_pem(key_pem, passphrase).map_err(AuthorityError::Key)?;
        if *key.kind() == KeyKind::Ed25519 {
            return Err(AuthorityError::Ed25519);
        }
        if key.spki_der() != certificate.spki_der() {
            return Err(AuthorityError::WrongKey {
                subject: certificate.subject().to_owned(),
                expected: certificate.spki_fingerprint(),
                found: key.public_fingerprint(),
            });
        }
        let above =
            chain::up_to_root(&certificate, &others).map_err(|last| AuthorityError::IncompleteChain {
                subject: last.subject().to_owned(),
                issuer: last.issuer().to_owned(),
            })?;
        for (below, parent) in (1..).zip(&above) {
            check_authority(parent, now)?;
            check_path_length(parent, below)?;
        }
        Ok(Self {
            certificate,
            above,
            key,
        })
    }

    /// The certificate that signs.
    #[must_use]
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The certificate that clients must trust: the CA itself, or the root above an intermediate.
    #[must_use]
    pub fn root(&self) -> &Certificate {
        self.above.last().unwrap_or(&self.certificate)
    }

    /// The key that signs.
    #[must_use]
    pub const fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// The CA's certificate and those above it, in PEM: with the key, what [`Self::load`] reads back.
    #[must_use]
    pub fn to_pem(&self) -> String {
        std::iter::once(&self.certificate)
            .chain(&self.above)
            .map(Certificate::to_pem)
            .collect()
    }

    /// Issues a server certificate for these names and addresses, valid for `days` from `now`.
    pub fn issue_server(
        &self,
        hosts: &[HostName],
        algorithm: Algorithm,
        days: u32,
        now: OffsetDateTime,
    ) -> Result<Identity, AuthorityError> {
        let first = hosts.first().ok_or(AuthorityError::NoHosts)?.to_string();
        self.check_purpose("serverAuth")?;
        let common_name = (first.chars().count() <= MOST_COMMON_NAME).then_some(first.as_str());
        let mut unique: Vec<HostName> = Vec::with_capacity(hosts.len());
        for host in hosts {
            if !unique.contains(host) {
                unique.push(host.clone());
            }
        }
        self.issue(Role::Server(&unique), common_name, algorithm, days, now)
    }

    /// Issues a client certificate whose CN is the role, or what an ident map turns into the role.
    pub fn issue_client(
        &self,
        common_name: &str,
        algorithm: Algorithm,
        days: u32,
        now: OffsetDateTime,
    ) -> Result<Identity, AuthorityError> {
        check_common_name(common_name)?;
        self.check_purpose("clientAuth")?;
        self.issue(Role::Client, Some(common_name), algorithm, days, now)
    }

    fn issue(
        &self,
        role: Role<'_>,
        common_name: Option<&str>,
        algorithm: Algorithm,
        days: u32,
        now: OffsetDateTime,
    ) -> Result<Identity, AuthorityError> {
        let (not_before, not_after) = validity(days, now)?;
        let end = self.last_moment();
        if not_after > end {
            return Err(AuthorityError::OutlivesCa {
                days,
                most: (end - whole_seconds(now)).whole_days().max(0),
                subject: self.certificate.subject().to_owned(),
                on: end.date(),
            });
        }
        let key = PrivateKey::generate(algorithm)?;
        let own_id = key_id(self.certificate.public_key());
        let template = Template {
            role,
            subject: dn::common_name_der(common_name),
            issuer: self.certificate.subject_der(),
            issuer_key_id: self.certificate.subject_key_id().unwrap_or(&own_id),
            // Not before the CA itself, which a loaded one may have been made a moment ago.
            not_before: not_before.max(self.certificate.not_before()),
            not_after,
            key: &key,
        };
        let leaf = template.sign(&self.key, &self.signer()?)?;
        Ok(Identity::issued(leaf, self.intermediates(), key))
    }

    /// A server certificate that signs itself: what anybody can make for any name.
    pub fn self_signed(
        hosts: &[HostName],
        algorithm: Algorithm,
        days: u32,
        now: OffsetDateTime,
    ) -> Result<Identity, AuthorityError> {
        let first = hosts.first().ok_or(AuthorityError::NoHosts)?.to_string();
        let common_name = (first.chars().count() <= MOST_COMMON_NAME).then_some(first.as_str());
        let (not_before, not_after) = validity(days, now)?;
        let key = PrivateKey::generate(algorithm)?;
        let subject = dn::common_name_der(common_name);
        let template = Template {
            role: Role::Server(hosts),
            issuer: &subject.clone(),
            subject,
            issuer_key_id: &key_id(key.public_key()),
            not_before,
            not_after,
            key: &key,
        };
        let leaf = template.sign(&key, &key.signer()?)?;
        Ok(Identity::issued(leaf, std::iter::empty(), key))
    }

    fn signer(&self) -> Result<Signer, AuthorityError> {
        Ok(self.key.signer()?)
    }

    /// What a leaf must carry along: the CA and those above it, but not the root, which the other side has.
    fn intermediates(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(&self.certificate)
            .chain(&self.above)
            .take(self.above.len())
    }

    /// The chain ends when its first certificate does.
    fn last_moment(&self) -> OffsetDateTime {
        self.above
            .iter()
            .map(Certificate::not_after)
            .fold(self.certificate.not_after(), Ord::min)
    }

    fn check_purpose(&self, purpose: &'static str) -> Result<(), AuthorityError> {
        for certificate in std::iter::once(&self.certificate).chain(&self.above) {
            let allowed = certificate.extended_key_usage().is_none_or(|usages| {
                usages
                    .iter()
                    .any(|usage| usage == purpose || usage == "anyExtendedKeyUsage")
            });
            if !allowed {
                return Err(AuthorityError::WrongPurpose {
                    subject: certificate.subject().to_owned(),
                    purpose,
                });
            }
        }
        Ok(())
    }
}

fn check_authority(certificate: &Certificate, now: OffsetDateTime) -> Result<(), AuthorityError> {
    let subject = || certificate.subject().to_owned();
    let not_a_ca = |why| {
        Err(AuthorityError::NotACa {
            subject: subject(),
            why,
        })
    };
    if certificate.version() != 3 {
        return not_a_ca("it is an X.509 certificate of version 1, which cannot say that it is one");
    }
    if !certificate.is_ca() {
        return not_a_ca("its basicConstraints do not say CA:TRUE");
    }
    if certificate
        .key_usage()
        .is_some_and(|usages| !usages.contains(&"keyCertSign"))
    {
        return not_a_ca("its keyUsage lacks keyCertSign");
    }
    if matches!(certificate.key_kind(), KeyKind::Rsa(..2048)) {
        return not_a_ca("its RSA key has less than 2048 bits, which OpenSSL refuses (\"ca key too small\")");
    }
    // A root's own signature is never checked, so SHA-1 does no harm there.
    let signature = certificate.signature_algorithm();
    if !certificate.is_self_issued() && ["sha1", "md5"].iter().any(|weak| signature.starts_with(weak)) {
        return not_a_ca(
            "its issuer signed it with SHA-1 or MD5, which OpenSSL refuses (\"ca md too weak\")",
        );
    }
    if now > certificate.not_after() {
        return Err(AuthorityError::Expired {
            subject: subject(),
            on: certificate.not_after().date(),
        });
    }
    if now < certificate.not_before() {
        return Err(AuthorityError::NotYetValid {
            subject: subject(),
            from: certificate.not_before().date(),
        });
    }
    Ok(())
}

/// RFC 5280 section 4.2.1.9: how many CAs may stand below this one.
fn check_path_length(certificate: &Certificate, below: u32) -> Result<(), AuthorityError> {
    if certificate.path_len().is_none_or(|limit| limit >= below) {
        return Ok(());
    }
    Err(AuthorityError::NotACa {
        subject: certificate.subject().to_owned(),
        why: "its basicConstraints allow fewer CAs below it (pathlen)",
    })
}

/// The bounds of RFC 5280 appendix A.1 (`ub-common-name`), and what PostgreSQL refuses in a CN (a NUL).
pub(super) fn check_common_name(name: &str) -> Result<(), AuthorityError> {
    let refuse = |why| {
        Err(AuthorityError::CommonName {
            name: excerpt(name),
            why,
        })
    };
    if name.trim().is_empty() {
        return refuse("it is empty");
    }
    if name.chars().count() > MOST_COMMON_NAME {
        return refuse("it has more than 64 characters, the most that X.509 allows");
    }
    if name.chars().any(char::is_control) {
        return refuse("it holds a control character");
    }
    Ok(())
}

/// From a little before `now` until `days` after it, so that whole days between the two give back `days`.
fn validity(days: u32, now: OffsetDateTime) -> Result<(OffsetDateTime, OffsetDateTime), AuthorityError> {
    let impossible = AuthorityError::Lifetime { days };
    if days == 0 {
        return Err(impossible);
    }
    let now = whole_seconds(now);
    let not_after = now.checked_add(Duration::days(i64::from(days)));
    let not_before = now.checked_sub(CLOCK_SKEW);
    match (not_before, not_after) {
        (Some(not_before), Some(not_after)) if not_after.year() <= 9999 => Ok((not_before, not_after)),
        _ => Err(impossible),
    }
}

fn whole_seconds(at: OffsetDateTime) -> OffsetDateTime {
    let at = at.to_offset(UtcOffset::UTC);
    let time = at.time();
    // The parts come from a valid time.
    at.replace_time(Time::from_hms(time.hour(), time.minute(), time.second()).unwrap_or(Time::MIDNIGHT))
}
