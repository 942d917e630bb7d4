//! OpenSSL's traditional encryption of PEM keys (`Proc-Type: 4,ENCRYPTED`, `DEK-Info: AES-256-CBC,…`).
//!
//! What `openssl genrsa -aes256` wrote before OpenSSL 3, and `-traditional` writes today. The key derivation is
//! one round of MD5 (`EVP_BytesToKey`, see openssl's `PEM_read` manual page): weak, and only ever read here.

use cbc::cipher::KeyIvInit;
use cbc::cipher::block_padding::Pkcs7;
use md5::{Digest as _, Md5};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::KeyError;
use super::text::excerpt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Aes128,
    Aes192,
    Aes256,
    TripleDes,
}

/// Cipher and initialisation vector of a `DEK-Info` header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cipher {
    name: Name,
    iv: Vec<u8>,
}

impl Cipher {
    pub(super) fn parse(information: &str) -> Result<Self, KeyError> {
        let unsupported = || KeyError::UnsupportedEncryption {
            found: match information {
                "" => "no DEK-Info line to say how".into(),
                other => excerpt(other.split(',').next().unwrap_or_default()),
            },
        };
        let (name, iv) = information.split_once(',').ok_or_else(unsupported)?;
        let (name, iv_length) = match name.trim() {
            "AES-128-CBC" => (Name::Aes128, 16),
            "AES-192-CBC" => (Name::Aes192, 16),
            "AES-256-CBC" => (Name::Aes256, 16),
            "DES-EDE3-CBC" => (Name::TripleDes, 8),
            _ => return Err(unsupported()),
        };
        let iv = hex(iv.trim()).filter(|iv| iv.len() == iv_length);
        Ok(Self {
            name,
            iv: iv.ok_or_else(|| KeyError::Damaged {
                kind: "encrypted (its DEK-Info line is cut)".into(),
            })?,
        })
    }

    pub(super) fn decrypt(
        &self,
        passphrase: &SecretString,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match self.name {
            Name::Aes128 => self.run::<cbc::Decryptor<aes::Aes128>, 16>(passphrase, ciphertext),
            Name::Aes192 => self.run::<cbc::Decryptor<aes::Aes192>, 24>(passphrase, ciphertext),
            Name::Aes256 => self.run::<cbc::Decryptor<aes::Aes256>, 32>(passphrase, ciphertext),
            Name::TripleDes => self.run::<cbc::Decryptor<des::TdesEde3>, 24>(passphrase, ciphertext),
        }
    }

    fn run<D, const KEY: usize>(
        &self,
        passphrase: &SecretString,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError>
    where
        D: KeyIvInit + cbc::cipher::BlockDecryptMut,
    {
        let key = self.key::<KEY>(passphrase);
        let cipher = D::new_from_slices(&*key, &self.iv).map_err(|_| KeyError::WrongPassphrase)?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let length = cipher
            .decrypt_padded_mut::<Pkcs7>(&mut buffer)
            .map_err(|_| KeyError::WrongPassphrase)?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }

    /// `EVP_BytesToKey` with MD5, one iteration, and the first eight bytes of the vector as the salt.
    fn key<const KEY: usize>(&self, passphrase: &SecretString) -> Zeroizing<[u8; KEY]> {
        let mut key = Zeroizing::new([0; KEY]);
        let mut previous = Zeroizing::new(Vec::new());
        for chunk in key.chunks_mut(16) {
            let hash = Md5::new()
                .chain_update(&*previous)
                .chain_update(passphrase.expose_secret())
                .chain_update(&self.iv[..8])
                .finalize();
            chunk.copy_from_slice(&hash[..chunk.len()]);
            previous = Zeroizing::new(hash.to_vec());
        }
        key
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dek_info_is_read_or_named() {
        let aes = Cipher::parse("AES-128-CBC,000102030405060708090A0B0C0D0E0F").unwrap();
        assert_eq!((aes.name, aes.iv.len()), (Name::Aes128, 16));
        for (information, expected) in [
            ("", "no DEK-Info"),
            ("CAMELLIA-256-CBC,00", "CAMELLIA-256-CBC"),
            ("DES-EDE3-CBC,00", "cut"),
            ("AES-128-CBC,é", "cut"),
        ] {
            let error = Cipher::parse(information).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
