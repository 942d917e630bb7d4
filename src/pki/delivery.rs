//! What a CA, or a tool that talks to one, hands over: certificates and revocation lists in any order and in any of the
//! forms in use, and what belongs to a key picked out of it.
//!
//! Forms: PEM with anything in it, PKCS#7 (`.p7b`, RFC 2315: the "certs-only" form of RFC 5272) in PEM or DER, and a
//! certificate or a revocation list in DER.

use pkcs8::ObjectIdentifier;
use pkcs8::der::asn1::AnyRef;
use pkcs8::der::{Decode as _, Reader as _, SliceReader, Tag, Tagged as _};

use super::pem;
use super::{Bundle, Certificate, CertificateError, Identity, PemError, PrivateKey, chain, der};

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");

/// As many as a PEM file may hold.
const MOST: usize = 1000;

/// Why nothing can be made of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// No PEM, and no DER of a known kind either.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// A certificate in it cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// It says that it is PKCS#7, and is none, or is encrypted.
    #[error("it is PKCS#7 but not of the kind that carries certificates (SignedData in DER)")]
    Pkcs7,
    /// More than a thousand certificates or lists.
    #[error("it holds more than 1000 certificates or lists")]
    TooMany,
    /// A key is not the key of any certificate in it.
    #[error("none of its {count} certificates is for this key, whose public half has SHA-256 {found}")]
    NotForKey {
        /// How many there are.
        count: usize,
        /// Fingerprint of the key's public half.
        found: String,
    },
    /// Nothing of use in it.
    #[error("there is no certificate in it")]
    Empty,
}

/// What was handed over.
#[derive(Debug, Clone, Default)]
pub struct Delivery {
    /// The certificates, each once, in the order of the files.
    pub certificates: Vec<Certificate>,
    /// Revocation lists, DER.
    pub lists: Vec<Vec<u8>>,
}

impl Delivery {
    /// Adds what a file holds.
    pub fn add(&mut self, file: &[u8]) -> Result<(), DeliveryError> {
        match pem::blocks(file) {
            Ok(blocks) => {
                for block in blocks
                    .iter()
                    .filter(|block| ["PKCS7", "CMS", "PKCS #7 SIGNED DATA"].contains(&block.label.as_str()))
                {
                    self.add_pkcs7(&block.bytes)?;
                }
                let bundle = Bundle::from_pem(file)?;
                for (index, der) in bundle.certificates.iter().enumerate() {
                    self.add_certificate(der, index + 1)?;
                }
                self.lists.extend(bundle.lists);
            }
            Err(error) if file.first() == Some(&der::SEQUENCE) => self.add_der(file).ok_or(error)??,
            Err(error) => return Err(error.into()),
        }
        if self.certificates.len() + self.lists.len() > MOST {
            return Err(DeliveryError::TooMany);
        }
        Ok(())
    }

    fn add_der(&mut self, file: &[u8]) -> Option<Result<(), DeliveryError>> {
        if let Ok(certificate) = Certificate::from_der(file) {
            self.push(certificate);
            return Some(Ok(()));
        }
        let fields = elements(elements(file).ok()?.first()?.value()).ok()?;
        match fields.first()?.tag() {
            Tag::ObjectIdentifier => Some(self.add_pkcs7(file)),
            // `TBSCertList` begins with a version or an algorithm; a signed frame of three.
            Tag::Sequence if fields.len() == 3 && is_list(fields[0].value()) => {
                self.lists.push(file.to_vec());
                Some(Ok(()))
            }
            _ => None,
        }
    }

    fn add_certificate(&mut self, der: &[u8], number: usize) -> Result<(), DeliveryError> {
        let certificate = Certificate::from_der(der).map_err(|error| match error {
            CertificateError::Damaged { why, .. } => CertificateError::Damaged { number, why },
            other => other,
        })?;
        self.push(certificate);
        Ok(())
    }

    fn push(&mut self, certificate: Certificate) {
        if !self.certificates.contains(&certificate) {
            self.certificates.push(certificate);
        }
    }

    /// `ContentInfo` with `SignedData` (RFC 2315 sections 7 and 9.1), of which only what it carries along is read.
    fn add_pkcs7(&mut self, der: &[u8]) -> Result<(), DeliveryError> {
        let malformed = |_| DeliveryError::Pkcs7;
        let outer = elements(der).map_err(malformed)?;
        let info = elements(outer.first().ok_or(DeliveryError::Pkcs7)?.value()).map_err(malformed)?;
        let [kind, content] = info.as_slice() else {
            return Err(DeliveryError::Pkcs7);
        };
        if kind.decode_as::<ObjectIdentifier>().ok() != Some(SIGNED_DATA) {
            return Err(DeliveryError::Pkcs7);
        }
        let inner = elements(content.value()).map_err(malformed)?;
        let fields = elements(inner.first().ok_or(DeliveryError::Pkcs7)?.value()).map_err(malformed)?;
        let mut number = 0;
        for field in &fields {
            let Tag::ContextSpecific { number: which, .. } = field.tag() else {
                continue;
            };
            for element in elements(field.value()).map_err(malformed)? {
                number += 1;
                let der = der::tlv(element.tag().octet(), element.value());
                match which.value() {
                    0 => self.add_certificate(&der, number)?,
                    1 => self.lists.push(der),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Whether a certificate in it is for that key.
    #[must_use]
    pub fn has(&self, key: &PrivateKey) -> bool {
        self.certificates
            .iter()
            .any(|certificate| certificate.spki_der() == key.spki_der())
    }

    /// The certificate for a key, with the intermediates that lead up from it in the order in which PostgreSQL sends
    /// them, leaf first (<https://www.postgresql.org/docs/current/ssl-tcp.html#SSL-SERVER-FILES>). The root is left out:
    /// whoever trusts it has it. Also says how many certificates it did not need.
    ///
    /// Of several certificates for the key the one that ends last is taken.
    pub fn identity(&self, key: PrivateKey) -> Result<(Identity, usize), DeliveryError> {
        if self.certificates.is_empty() {
            return Err(DeliveryError::Empty);
        }
        let leaf = self
            .certificates
            .iter()
            .filter(|certificate| certificate.spki_der() == key.spki_der())
            .max_by_key(|certificate| certificate.not_after());
        let Some(leaf) = leaf else {
            return Err(DeliveryError::NotForKey {
                count: self.certificates.len(),
                found: key.public_fingerprint(),
            });
        };
        let above = chain::upwards(leaf, &self.certificates);
        let used = above.len() + 1;
        let between = above.iter().filter(|above| !above.is_self_issued());
        let identity = Identity::issued(leaf.clone(), between, key);
        Ok((identity, self.certificates.len() - used))
    }

    /// The self-signed certificates in it.
    pub fn roots(&self) -> impl Iterator<Item = &Certificate> {
        self.certificates
            .iter()
            .filter(|certificate| certificate.is_ca() && certificate.is_signed_by(certificate))
    }
}

/// A revocation list has a date where a certificate has a sequence of two.
fn is_list(signed: &[u8]) -> bool {
    let Ok(fields) = elements(signed) else {
        return false;
    };
    let mut fields = fields.iter().skip_while(|field| field.tag() == Tag::Integer);
    let mut next = || fields.next().map(AnyRef::tag);
    next() == Some(Tag::Sequence)
        && next() == Some(Tag::Sequence)
        && matches!(next(), Some(Tag::UtcTime | Tag::GeneralizedTime))
}

/// The elements that follow one another in DER.
fn elements(bytes: &[u8]) -> Result<Vec<AnyRef<'_>>, pkcs8::der::Error> {
    let mut reader = SliceReader::new(bytes)?;
    let mut found = Vec::new();
    while !reader.is_finished() && found.len() <= MOST {
        found.push(AnyRef::decode(&mut reader)?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::pki::{Algorithm, Authority};

    /// The form of RFC 5272 section 4.1 that CAs answer with.
    fn certs_only(certificates: &[&[u8]]) -> Vec<u8> {
        let oid = |text| der::oid(ObjectIdentifier::new_unwrap(text));
        let data = der::sequence(&[
            &der::tlv(der::INTEGER, &[1]),
            &der::tlv(der::SET, &[]),
            &der::sequence(&[&oid("1.2.840.113549.1.7.1")]),
            &der::tlv(der::context(0), &certificates.concat()),
            &der::tlv(der::SET, &[]),
        ]);
        der::sequence(&[&oid("1.2.840.113549.1.7.2"), &der::tlv(der::context(0), &data)])
    }

    #[test]
    fn pkcs7_is_taken_apart_and_what_is_cut_or_changed_never_panics() {
        let now = datetime!(2026-01-01 00:00 UTC);
        let ca = Authority::create("ca", Algorithm::P256, 100, now).unwrap();
        let leaf = ca.issue_client("app", Algorithm::P256, 10, now).unwrap();
        let whole = certs_only(&[ca.certificate().der(), leaf.leaf().der(), ca.certificate().der()]);
        let mut delivery = Delivery::default();
        delivery.add(&whole).unwrap();
        assert_eq!(delivery.certificates.len(), 2, "each once");
        let (identity, unused) = delivery.identity(leaf.key().clone()).unwrap();
        assert_eq!((identity.chain().len(), unused), (1, 0), "the root is left out");
        let other = ca.issue_client("app", Algorithm::P256, 10, now).unwrap();
        assert!(matches!(
            delivery.identity(other.key().clone()),
            Err(DeliveryError::NotForKey { count: 2, .. })
        ));
        for end in 0..whole.len() {
            assert!(Delivery::default().add(&whole[..end]).is_err(), "cut at {end}");
            let mut changed = whole.clone();
            changed[end] ^= 0x55;
            let _ = Delivery::default().add(&changed);
        }
    }
}
