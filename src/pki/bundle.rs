//! Files that hold certificates and revocation lists, taken apart as OpenSSL takes them apart.

use super::PemError;
use super::key_import::first_element;
use super::pem;

/// What a PEM file holds, as DER, in its order. Nothing but the PEM is judged here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bundle {
    /// The certificates; behind one from a `TRUSTED CERTIFICATE` block stand OpenSSL's trust settings
    /// (`openssl-x509(1)`, "Trust Settings"), behind others nothing.
    pub certificates: Vec<Vec<u8>>,
    /// The revocation lists.
    pub lists: Vec<Vec<u8>>,
}

impl Bundle {
    /// Reads a file as `X509_load_cert_crl_file(3)` does: blocks of other kinds are passed over, and one damaged block
    /// spoils the whole file, be it of a private key that has no business there.
    pub fn from_pem(file: &[u8]) -> Result<Self, PemError> {
        let mut bundle = Self::default();
        for block in &pem::blocks(file)? {
            match block.label.as_str() {
                "CERTIFICATE" | "X509 CERTIFICATE" => {
                    let der = first_element(block.in_the_clear()?);
                    bundle.certificates.push(der.to_vec());
                }
                "TRUSTED CERTIFICATE" => bundle.certificates.push(block.in_the_clear()?.to_vec()),
                "X509 CRL" => bundle.lists.push(first_element(block.in_the_clear()?).to_vec()),
                "RSA PRIVATE KEY" | "EC PRIVATE KEY" | "DSA PRIVATE KEY" if block.is_damaged_key()? => {
                    return Err(block.faulty("the private key in it is damaged"));
                }
                _ => {}
            }
        }
        Ok(bundle)
    }

    /// Reads a certificate of one's own and those that go with it as `SSL_CTX_use_certificate_chain_file(3)` does: other
    /// blocks are passed over unread, and so is one with trust settings unless it comes first.
    pub fn chain_from_pem(file: &[u8]) -> Result<Vec<Vec<u8>>, PemError> {
        let mut chain = Vec::new();
        for block in &pem::blocks(file)? {
            match block.label.as_str() {
                "CERTIFICATE" | "X509 CERTIFICATE" => {}
                "TRUSTED CERTIFICATE" if chain.is_empty() => {}
                _ => continue,
            }
            chain.push(first_element(block.in_the_clear()?).to_vec());
        }
        Ok(chain)
    }
}

/// A revocation list in PEM.
#[must_use]
pub fn revocation_list_pem(der: &[u8]) -> String {
    pem::encode("X509 CRL", der).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(label: &str, bytes: &[u8]) -> String {
        pem::encode(label, bytes).as_str().to_owned()
    }

    const ELEMENT: [u8; 4] = [0x30, 2, 5, 0];

    /// `X509_load_cert_crl_file(3)`, which OpenSSL's `SSL_CTX_load_verify_locations(3)` uses.
    #[test]
    fn blocks_are_sorted_by_kind_and_one_damaged_block_spoils_the_file() {
        let settings = [&ELEMENT[..], &[0x30, 0]].concat();
        let file = [
            "some text\n".to_owned(),
            block("CERTIFICATE", &settings),
            block("X509 CERTIFICATE", &ELEMENT),
            block("PRIVATE KEY", &[9]),
            block("X509 CRL", &settings),
            block("TRUSTED CERTIFICATE", &settings),
        ]
        .concat();
        let bundle = Bundle::from_pem(file.as_bytes()).unwrap();
        assert_eq!(
            bundle.certificates,
            [&ELEMENT[..], &ELEMENT, &settings],
            "what follows a certificate counts in a TRUSTED one only"
        );
        assert_eq!(bundle.lists, [ELEMENT]);
        let cut = file.clone() + "-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert!(matches!(
            Bundle::from_pem(cut.as_bytes()),
            Err(PemError::Unfinished { .. })
        ));
        for damaged in [
            block("RSA PRIVATE KEY", &[9]),
            block("EC PRIVATE KEY", &[9]),
            block("DSA PRIVATE KEY", &[9]),
            "-----BEGIN CERTIFICATE-----\nComment: x\n\nMAIFAA==\n-----END CERTIFICATE-----\n".to_owned(),
        ] {
            let file = file.clone() + &damaged;
            let error = Bundle::from_pem(file.as_bytes()).unwrap_err();
            assert!(matches!(error, PemError::Layout { .. }), "{damaged}: {error}");
        }
    }

    /// `SSL_CTX_use_certificate_chain_file(3)`.
    #[test]
    fn of_a_chain_only_the_first_may_have_trust_settings() {
        let trusted = block("TRUSTED CERTIFICATE", &[&ELEMENT[..], &[0x30, 0]].concat());
        let plain = block("CERTIFICATE", &ELEMENT);
        let damaged = block("RSA PRIVATE KEY", &[9]);
        let read = |parts: &[&String]| {
            let file: String = parts.iter().map(|part| part.as_str()).collect();
            Bundle::chain_from_pem(file.as_bytes()).unwrap()
        };
        assert_eq!(read(&[&trusted, &plain]), [ELEMENT, ELEMENT]);
        assert_eq!(read(&[&damaged, &plain, &trusted]), [ELEMENT]);
    }
}
