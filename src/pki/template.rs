//! Certificates as pgtls issues them: the profile of RFC 5280 section 4, and nothing that a verifier would argue about.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use pkcs8::ObjectIdentifier;
use time::OffsetDateTime;

use super::key::Signer;
use super::{Certificate, HostName, KeyError, KeyKind, PrivateKey, der};

/// `id-kp-serverAuth` and `id-kp-clientAuth` (RFC 5280 section 4.2.1.12).
const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";

/// What a certificate is for; decides its extensions.
pub(super) enum Role<'a> {
    /// Signs leaves and nothing below them.
    Authority,
    /// Proves a server by these names.
    Server(&'a [HostName]),
    /// Proves a client by its subject's CN.
    Client,
}

/// What goes into the certificate besides the signature.
pub(super) struct Template<'a> {
    pub(super) role: Role<'a>,
    /// DER; empty sequences are allowed for servers only.
    pub(super) subject: Vec<u8>,
    /// DER, copied byte for byte from the issuer's subject.
    pub(super) issuer: &'a [u8],
    pub(super) issuer_key_id: &'a [u8],
    pub(super) not_before: OffsetDateTime,
    pub(super) not_after: OffsetDateTime,
    pub(super) key: &'a PrivateKey,
}

impl Template<'_> {
    pub(super) fn sign(&self, issuer: &PrivateKey, signer: &Signer) -> Result<Certificate, KeyError> {
        let algorithm = issuer.signature_identifier();
        let tbs = der::sequence(&[
            &der::tlv(der::context(0), &der::tlv(der::INTEGER, &[2])),
            &der::tlv(der::INTEGER, &serial()?),
            &algorithm,
            self.issuer,
            &der::sequence(&[&der::time(self.not_before), &der::time(self.not_after)]),
            &self.subject,
            self.key.spki_der(),
            &der::tlv(der::context(3), &der::sequence(&[&self.extensions().concat()])),
        ]);
        let signature = signer.sign(&tbs)?;
        let der = der::sequence(&[&tbs, &algorithm, &der::bit_string(&signature)]);
        Certificate::from_der(&der).map_err(|_| KeyError::Crypto {
            what: "make a certificate that reads back",
        })
    }

    fn extensions(&self) -> Vec<Vec<u8>> {
        let key_id = key_id(self.key.public_key());
        let mut extensions = vec![
            basic_constraints(&self.role),
            key_usage(&self.role, self.key.kind()),
            extension("2.5.29.14", false, &der::tlv(der::OCTET_STRING, &key_id)),
            authority_key_id(self.issuer_key_id),
        ];
        match self.role {
            Role::Authority => {}
            Role::Server(hosts) => {
                extensions.push(extended_key_usage(SERVER_AUTH));
                extensions.push(subject_alternative_names(
                    hosts,
                    self.subject == der::sequence(&[]),
                ));
            }
            Role::Client => extensions.push(extended_key_usage(CLIENT_AUTH)),
        }
        extensions
    }
}

/// What a request asks a CA for: the purpose, and the names where it has any. What a CA adds of its own is its business.
pub(super) fn request_extensions(role: &Role<'_>, kind: &KeyKind) -> Vec<Vec<u8>> {
    let mut extensions = vec![key_usage(role, kind)];
    match role {
        Role::Authority => {}
        Role::Server(hosts) => {
            extensions.push(extended_key_usage(SERVER_AUTH));
            extensions.push(subject_alternative_names(hosts, false));
        }
        Role::Client => extensions.push(extended_key_usage(CLIENT_AUTH)),
    }
    extensions
}

/// A positive INTEGER of exactly 16 bytes with 126 random bits: unique without any record of earlier ones
/// (RFC 5280 section 4.1.2.2 allows 20 bytes).
fn serial() -> Result<[u8; 16], KeyError> {
    let mut serial = random::<16>()?;
    serial[0] = serial[0] & 0x7f | 0x40;
    Ok(serial)
}

pub(super) fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], KeyError> {
    let mut bytes = [0; LENGTH];
    rand::fill(&mut bytes).map_err(|_| KeyError::Crypto {
        what: "get random bytes from the system",
    })?;
    Ok(bytes)
}

/// RFC 7093 section 2, method 1: the first 160 bits of the SHA-256 of the public key.
pub(super) fn key_id(public_key: &[u8]) -> Vec<u8> {
    digest(&SHA256, public_key).as_ref()[..20].to_vec()
}

/// RFC 5280 section 4.2.1.9; the default CA:FALSE is written as an empty sequence (DER omits defaults).
fn basic_constraints(role: &Role<'_>) -> Vec<u8> {
    const TRUE: [u8; 3] = [der::BOOLEAN, 1, 0xff];
    const PATH_LENGTH_0: [u8; 3] = [der::INTEGER, 1, 0];
    let value = match role {
        Role::Authority => der::sequence(&[&TRUE, &PATH_LENGTH_0]),
        Role::Server(_) | Role::Client => der::sequence(&[]),
    };
    extension("2.5.29.19", true, &value)
}

/// RFC 5280 section 4.2.1.3. keyEncipherment is for RSA key transport only and wrong on other keys (RFC 8813).
fn key_usage(role: &Role<'_>, kind: &KeyKind) -> Vec<u8> {
    let (unused, bits) = match (role, kind) {
        (Role::Authority, _) => (1, 0b0000_0110),
        (_, KeyKind::Rsa(_)) => (5, 0b1010_0000),
        _ => (7, 0b1000_0000),
    };
    extension("2.5.29.15", true, &der::tlv(der::BIT_STRING, &[unused, bits]))
}

/// One purpose only: a server's certificate must not log in as a client, nor the reverse.
fn extended_key_usage(purpose: &str) -> Vec<u8> {
    let purpose = der::oid(ObjectIdentifier::new_unwrap(purpose));
    extension("2.5.29.37", false, &der::sequence(&[&purpose]))
}

pub(super) fn authority_key_id(key_id: &[u8]) -> Vec<u8> {
    let value = der::sequence(&[&der::tlv(0x80, key_id)]);
    extension("2.5.29.35", false, &value)
}

/// RFC 5280 section 4.2.1.6: critical when the subject is empty.
fn subject_alternative_names(hosts: &[HostName], critical: bool) -> Vec<u8> {
    const DNS_NAME: u8 = 0x82;
    const IP_ADDRESS: u8 = 0x87;
    let names: Vec<_> = hosts
        .iter()
        .map(|host| match host {
            HostName::Dns(name) => der::tlv(DNS_NAME, name.as_bytes()),
            HostName::Ip(std::net::IpAddr::V4(address)) => der::tlv(IP_ADDRESS, &address.octets()),
            HostName::Ip(std::net::IpAddr::V6(address)) => der::tlv(IP_ADDRESS, &address.octets()),
        })
        .collect();
    extension("2.5.29.17", critical, &der::sequence(&[&names.concat()]))
}

pub(super) fn extension(oid: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let oid = der::oid(ObjectIdentifier::new_unwrap(oid));
    let critical: &[u8] = if critical { &[der::BOOLEAN, 1, 0xff] } else { &[] };
    der::sequence(&[&oid, critical, &der::tlv(der::OCTET_STRING, value)])
}
