//! The file formats of keys and certificates that some drivers want beside PEM.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A file of a client kit that is made when a driver wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// The private key in PKCS#8 DER, unencrypted: what pgjdbc wants (RFC 5958).
    Pk8,
    /// Certificate and key in one PKCS#12 file, alias `user`, AES-256 and SHA-256 (RFC 7292).
    P12,
    /// The same in 3DES and SHA-1, for Java before 8u301, Windows before Server 2019, macOS before 15.
    P12Legacy,
    /// The roots as a Java truststore in PKCS#12.
    Truststore,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Pk8, Self::P12, Self::P12Legacy, Self::Truststore];

    /// The password of the PKCS#12 files of a kit, alone in a file.
    pub const PASSWORD_FILE: &'static str = "p12.password";

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pk8 => "pk8",
            Self::P12 => "p12",
            Self::P12Legacy => "p12-legacy",
            Self::Truststore => "truststore",
        }
    }

    /// The file's name in a client kit.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::Pk8 => "client.pk8",
            Self::P12 => "client.p12",
            Self::P12Legacy => "client-legacy.p12",
            Self::Truststore => "truststore.p12",
        }
    }

    /// Whether the file is under [`Self::PASSWORD_FILE`]'s password.
    #[must_use]
    pub const fn wants_password(self) -> bool {
        !matches!(self, Self::Pk8)
    }

    /// Whether the file holds a client's key, so that a login without a certificate has none.
    #[must_use]
    pub const fn wants_certificate(self) -> bool {
        !matches!(self, Self::Truststore)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == name)
            .ok_or(())
    }
}
