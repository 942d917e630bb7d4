//! Files that hold certificates and revocation lists, taken apart as OpenSSL takes them apart.

use super::PemError;
use super::pem::{self, Block};

/// What a PEM file holds, as DER, in its order. Nothing but the PEM is judged here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bundle {
    /// The certificates.
    pub certificates: Vec<Vec<u8>>,
    /// The revocation lists.
    pub lists: Vec<Vec<u8>>,
}

impl Bundle {
    /// Reads a file as `X509_load_cert_crl_file(3)` does: blocks of other kinds are passed over, and one damaged block
    /// spoils the whole file.
    pub fn from_pem(file: &[u8]) -> Result<Self, PemError> {
        let blocks = pem::blocks(file)?;
        let of = |labels: &[&str]| -> Vec<Vec<u8>> {
            let wanted = blocks
                .iter()
                .filter(|block: &&Block| labels.contains(&block.label.as_str()));
            wanted.map(|block| block.bytes.to_vec()).collect()
        };
        Ok(Self {
            certificates: of(&["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"]),
            lists: of(&["X509 CRL"]),
        })
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

    #[test]
    fn blocks_are_sorted_by_kind_and_one_damaged_block_spoils_the_file() {
        let block = |label: &str, byte: u8| pem::encode(label, &[byte]).as_str().to_owned();
        let file = [
            "some text\n".to_owned(),
            block("CERTIFICATE", 1),
            block("PRIVATE KEY", 9),
            block("X509 CRL", 2),
            block("TRUSTED CERTIFICATE", 3),
        ]
        .concat();
        let bundle = Bundle::from_pem(file.as_bytes()).unwrap();
        assert_eq!(bundle.certificates, [[1], [3]]);
        assert_eq!(bundle.lists, [[2]]);
        let cut = file + "-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert!(matches!(
            Bundle::from_pem(cut.as_bytes()),
            Err(PemError::Unfinished { .. })
        ));
    }
}
