//! Certificate requests (PKCS#10, RFC 2986): what a CA of the person's own is asked to sign.

use pkcs8::ObjectIdentifier;
use pkcs8::der::asn1::AnyRef;
use pkcs8::der::{Decode as _, Encode as _, SliceReader};

use super::key::Signer;
use super::template::{Role, request_extensions};
use super::{AuthorityError, HostName, PrivateKey, der, dn, pem};

/// `extensionRequest` (RFC 2985 section 5.4.2).
const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");

/// Asks for a server certificate for these names and addresses, in PEM: the first name is the CN too, where it fits.
pub fn request_server(hosts: &[HostName], key: &PrivateKey) -> Result<String, AuthorityError> {
    let first = hosts.first().ok_or(AuthorityError::NoHosts)?.to_string();
    let common_name = (first.chars().count() <= dn::MOST_COMMON_NAME).then_some(first.as_str());
    request(common_name, &Role::Server(hosts), key)
}

/// Asks for a client certificate whose CN is the role, in PEM.
pub fn request_client(common_name: &str, key: &PrivateKey) -> Result<String, AuthorityError> {
    super::authority::check_common_name(common_name)?;
    request(Some(common_name), &Role::Client, key)
}

/// Whether both ask for the same, with the same key: signatures of one key differ each time (ECDSA), and a CA that has the one
/// must not be sent another for that.
#[must_use]
pub fn asks_the_same(earlier: &[u8], request: &[u8]) -> bool {
    let of = |pem: &[u8]| info(&pem::blocks(pem).ok()?.first()?.bytes);
    of(earlier).is_some_and(|info| of(request) == Some(info))
}

/// `CertificationRequestInfo` (RFC 2986 section 4.1): all but the signature.
fn info(request: &[u8]) -> Option<Vec<u8>> {
    let request = AnyRef::from_der(request).ok()?;
    let mut fields = SliceReader::new(request.value()).ok()?;
    AnyRef::decode(&mut fields).ok()?.to_der().ok()
}

fn request(common_name: Option<&str>, role: &Role<'_>, key: &PrivateKey) -> Result<String, AuthorityError> {
    let extensions = der::sequence(&[&request_extensions(role, key.kind()).concat()]);
    let attribute = der::sequence(&[&der::oid(EXTENSION_REQUEST), &der::tlv(der::SET, &extensions)]);
    let info = der::sequence(&[
        &der::tlv(der::INTEGER, &[0]),
        &dn::common_name_der(common_name),
        key.spki_der(),
        &der::tlv(der::context(0), &attribute),
    ]);
    let signer: Signer = key.signer()?;
    let signature = signer.sign(&info)?;
    let request = der::sequence(&[&info, &key.signature_identifier(), &der::bit_string(&signature)]);
    Ok(pem::encode("CERTIFICATE REQUEST", &request).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Algorithm;

    #[test]
    fn one_key_and_the_same_names_ask_the_same() {
        let key = PrivateKey::generate(Algorithm::P256).unwrap();
        let hosts = |names: &[&str]| -> Vec<HostName> { names.iter().map(|n| n.parse().unwrap()).collect() };
        let one = request_server(&hosts(&["db.example.org", "10.0.0.7"]), &key).unwrap();
        let again = request_server(&hosts(&["db.example.org", "10.0.0.7"]), &key).unwrap();
        assert_ne!(one, again);
        assert!(asks_the_same(one.as_bytes(), again.as_bytes()));
        let names = request_server(&hosts(&["db.example.org"]), &key).unwrap();
        assert!(!asks_the_same(one.as_bytes(), names.as_bytes()));
        let other = PrivateKey::generate(Algorithm::P256).unwrap();
        let other = request_server(&hosts(&["db.example.org", "10.0.0.7"]), &other).unwrap();
        assert!(!asks_the_same(one.as_bytes(), other.as_bytes()));
        assert!(!asks_the_same(b"", one.as_bytes()) && !asks_the_same(b"", b""));
    }
}
