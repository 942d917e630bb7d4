//! From a certificate's DER to its [`Fields`], through `x509-parser`.

use std::net::IpAddr;

use pkcs8::ObjectIdentifier;
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName, KeyUsage, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::x509::SubjectPublicKeyInfo;

use super::certificate::Fields;
use super::kind::{EC_PUBLIC_KEY, ED25519, RSA_ENCRYPTION, bit_length};
use super::{KeyKind, dn};

/// Reads the first certificate and returns the bytes behind it; the error says what does not parse.
pub(super) fn fields(der: &[u8]) -> Result<(Fields, &[u8]), &'static str> {
    let (rest, certificate) =
        X509Certificate::from_der(der).map_err(|_| "it is no X.509 certificate in DER")?;
    let der = &der[..der.len() - rest.len()];
    let tbs = certificate.tbs_certificate.as_ref();
    // The parser borrows from `der`, so the distance of the two starts is the offset.
    let start = tbs.as_ptr() as usize - der.as_ptr() as usize;
    let spki = certificate.public_key();
    let mut fields = Fields {
        tbs: start..start + tbs.len(),
        version: certificate.version().0.saturating_add(1),
        serial: serial(certificate.raw_serial()).to_vec(),
        subject_der: certificate.subject().as_raw().to_vec(),
        issuer_der: certificate.issuer().as_raw().to_vec(),
        subject: dn::display(certificate.subject()),
        issuer: dn::display(certificate.issuer()),
        common_name: dn::common_name(certificate.subject()),
        not_before: certificate.validity().not_before.to_datetime(),
        not_after: certificate.validity().not_after.to_datetime(),
        spki: spki.raw.to_vec(),
        public_key: spki.subject_public_key.data.to_vec(),
        kind: kind(spki),
        signature_oid: certificate.signature_algorithm.algorithm.to_id_string(),
        signature: certificate.signature_value.data.to_vec(),
        dns_names: Vec::new(),
        ip_addresses: Vec::new(),
        basic_constraints: None,
        key_usage: None,
        extended_key_usage: None,
        subject_key_id: None,
        authority_key_id: None,
        der: der.to_vec(),
    };
    for extension in certificate.extensions() {
        read(&mut fields, extension.parsed_extension());
    }
    Ok((fields, rest))
}

fn read(fields: &mut Fields, extension: &ParsedExtension<'_>) {
    match extension {
        ParsedExtension::SubjectAlternativeName(names) => {
            for name in &names.general_names {
                match name {
                    GeneralName::DNSName(name) => fields.dns_names.push((*name).to_owned()),
                    GeneralName::IPAddress(bytes) => fields.ip_addresses.extend(address(bytes)),
                    _ => {}
                }
            }
        }
        ParsedExtension::BasicConstraints(constraints) => {
            fields.basic_constraints = Some((constraints.ca, constraints.path_len_constraint));
        }
        ParsedExtension::KeyUsage(usage) => fields.key_usage = Some(key_usages(*usage)),
        ParsedExtension::ExtendedKeyUsage(usage) => {
            fields.extended_key_usage = Some(extended_key_usages(usage));
        }
        ParsedExtension::SubjectKeyIdentifier(id) => fields.subject_key_id = Some(id.0.to_vec()),
        ParsedExtension::AuthorityKeyIdentifier(id) => {
            fields.authority_key_id = id.key_identifier.as_ref().map(|id| id.0.to_vec());
        }
        _ => {}
    }
}

/// Without the zero that DER puts before a first byte of 0x80 or more.
fn serial(raw: &[u8]) -> &[u8] {
    match raw {
        [0, rest @ ..] if !rest.is_empty() => rest,
        other => other,
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

fn kind(spki: &SubjectPublicKeyInfo<'_>) -> KeyKind {
    let algorithm = spki.algorithm.algorithm.to_id_string();
    if algorithm == EC_PUBLIC_KEY.to_string() {
        let curve = spki
            .algorithm
            .parameters
            .as_ref()
            .and_then(|any| any.as_oid().ok());
        return match curve.and_then(|curve| ObjectIdentifier::new(&curve.to_id_string()).ok()) {
            Some(curve) => KeyKind::of_curve(curve),
            None => KeyKind::Other("EC with explicit curve parameters".into()),
        };
    }
    if algorithm == RSA_ENCRYPTION.to_string() {
        return match spki.parsed() {
            Ok(x509_parser::public_key::PublicKey::RSA(key)) => KeyKind::Rsa(bit_length(key.modulus)),
            _ => KeyKind::Other("damaged RSA".into()),
        };
    }
    if algorithm == ED25519.to_string() {
        return KeyKind::Ed25519;
    }
    KeyKind::other(&algorithm)
}

fn key_usages(usage: KeyUsage) -> Vec<&'static str> {
    [
        (usage.digital_signature(), "digitalSignature"),
        (usage.non_repudiation(), "nonRepudiation"),
        (usage.key_encipherment(), "keyEncipherment"),
        (usage.data_encipherment(), "dataEncipherment"),
        (usage.key_agreement(), "keyAgreement"),
        (usage.key_cert_sign(), "keyCertSign"),
        (usage.crl_sign(), "cRLSign"),
        (usage.encipher_only(), "encipherOnly"),
        (usage.decipher_only(), "decipherOnly"),
    ]
    .into_iter()
    .filter_map(|(set, name)| set.then_some(name))
    .collect()
}

fn extended_key_usages(usage: &ExtendedKeyUsage<'_>) -> Vec<String> {
    [
        (usage.any, "anyExtendedKeyUsage"),
        (usage.server_auth, "serverAuth"),
        (usage.client_auth, "clientAuth"),
        (usage.code_signing, "codeSigning"),
        (usage.email_protection, "emailProtection"),
        (usage.time_stamping, "timeStamping"),
        (usage.ocsp_signing, "OCSPSigning"),
    ]
    .into_iter()
    .filter(|(set, _)| *set)
    .map(|(_, name)| name.to_owned())
    .chain(usage.other.iter().map(x509_parser::der_parser::Oid::to_id_string))
    .collect()
}
