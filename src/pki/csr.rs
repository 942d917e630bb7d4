//! Certificate requests (PKCS#10, RFC 2986): what a CA of the person's own is asked to sign.

use pkcs8::ObjectIdentifier;

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
